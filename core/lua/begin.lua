-- A step starts: renew its lease if it has one, and return the record.
-- The lease is also renewed, without reading the record, while a long step goes on.
local id = input.job
redis.call('ZADD', 'due', 'XX', now + WATCH, input.step .. ':' .. id)
if input.renew then return {} end
return redis.call('HGETALL', job_key(id))
