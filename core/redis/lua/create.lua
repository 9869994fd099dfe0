-- Accept a job: idempotency, record, backlog, and a slot at once if one is free.
-- Returns {"created", id, timeline, pool} (the caller knows the rest), {"exists", id, record},
-- {"conflict"}, {"full"}, or {"gone"} if the job to retry is not a failed job.
local function known_as(id) return {'exists', id, redis.call('HGETALL', job_key(id))} end

local idempotency = input.idempotency
if idempotency then
  local known = redis.call('GET', idempotency.key)
  if known then
    local fingerprint, id = string.match(known, '^(%S+) (%S+)$')
    if fingerprint ~= idempotency.fingerprint then return {'conflict'} end
    -- Rewritten so that the reply can wait for its fsync.
    redis.call('SET', idempotency.key, known, 'KEEPTTL')
    return known_as(id)
  end
end
local id = input.job
-- A failed job is retried at most once.
local before = input.retry_of and job_key(input.retry_of)
if before then
  local again = redis.call('HGET', before, 'retried_as')
  if again and redis.call('EXISTS', job_key(again)) == 1 then
    redis.call('HSET', before, 'retried_as', again)
    return known_as(again)
  end
  if redis.call('HGET', before, 'status') ~= 'failed' then return {'gone'} end
end
-- The same command, repeated because its reply was lost: already done.
if redis.call('EXISTS', job_key(id)) == 1 then
  redis.call('HSET', job_key(id), 'request', redis.call('HGET', job_key(id), 'request'))
  return known_as(id)
end
-- Checked in the script, so that no other job can come in between.
if input.most_waiting and backlog_size() >= input.most_waiting then return {'full'} end
if idempotency then
  redis.call('SET', idempotency.key, idempotency.fingerprint .. ' ' .. id, 'EX', idempotency.ttl)
end
create_job(input)
grant_all()
if granted == 0 then return {'created', id, input.fields.timeline, ''} end
local line, pool = unpack(redis.call('HMGET', job_key(id), 'timeline', 'pool'))
return {'created', id, line, pool or ''}
