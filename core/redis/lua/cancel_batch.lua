-- Cancel what is left of a batch: items that are not jobs yet become canceled jobs, up to `most` per call.
-- Returns how many items are still staged; -1 if there is no such batch.
local key = batch_key(input.batch)
if redis.call('EXISTS', key) == 0 then return -1 end
-- Set again, so that the reply can wait for its fsync.
redis.call('HSET', key, 'canceled_at', redis.call('HGET', key, 'canceled_at') or string.format('%.3f', now))
local tenant = redis.call('HGET', key, 'tenant')
expand(tenant, input.batch, input.most, {ended = input.ttl, owed = input.ttl_owed})
return redis.call('LLEN', key .. ':staged')
