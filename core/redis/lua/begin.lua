-- A step starts: renew its lease, if it has one, and return the record.
-- With `renew`, only renew the lease of a long-running step.
local id = input.job
local member = input.step .. ':' .. id
-- A step nearly always starts right after it was enqueued, which set the lease. Skip the write then, so
-- that the reply waits for no fsync; the lease may be shorter by INSTANT.
local INSTANT = 0.25
local due = redis.call('ZSCORE', 'due', member)
if due and math.abs(now + WATCH - due) > INSTANT then redis.call('ZADD', 'due', now + WATCH, member) end
if input.renew then return {} end
return redis.call('HGETALL', job_key(id))
