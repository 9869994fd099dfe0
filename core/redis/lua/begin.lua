-- A step starts: renew its lease if it has one, and return the record.
-- The lease is also renewed, without reading the record, while a long step goes on.
local id = input.job
local member = input.step .. ':' .. id
-- It nearly always begins as soon as it was woken, which set the lease. Nothing is written then, so
-- that the answer waits for no fsync; the lease may be shorter by an instant.
local INSTANT = 0.25
local due = redis.call('ZSCORE', 'due', member)
if due and math.abs(now + WATCH - due) > INSTANT then redis.call('ZADD', 'due', now + WATCH, member) end
if input.renew then return {} end
return redis.call('HGETALL', job_key(id))
