-- Look up an idempotency key; return {fingerprint, id, record}, or {}. The key is rewritten, so that the
-- reply can wait for its fsync.
local known = redis.call('GET', input.key)
if not known then return {} end
redis.call('SET', input.key, known, 'KEEPTTL')
local fingerprint, id = string.match(known, '^(%S+) (%S+)$')
return {fingerprint, id, redis.call('HGETALL', job_key(id))}
