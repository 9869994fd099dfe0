-- Look an idempotency key up; return {fingerprint, id, record}, or {}. What is found is written again,
-- so that an answer which promises it can wait for that write to be on disk.
local known = redis.call('GET', input.key)
if not known then return {} end
redis.call('SET', input.key, known, 'KEEPTTL')
local fingerprint, id = string.match(known, '^(%S+) (%S+)$')
return {fingerprint, id, redis.call('HGETALL', job_key(id))}
