-- Return a batch's record; empty if there is none.
return redis.call('HGETALL', batch_key(input.batch))
