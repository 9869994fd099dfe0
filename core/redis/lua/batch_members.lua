-- Return a batch's jobs, in the order of its items.
return redis.call('ZRANGE', batch_key(input.batch) .. ':jobs', 0, -1)
