-- Accept a job: idempotency, record, backlog, and a slot at once where one is free.
-- Returns {"created", id, timeline, pool}, for the caller knows the rest; {"exists", id, record}; or
-- {"conflict"}, {"full"}, or {"gone"}: what is sent again is no failed job.
local function known_as(id) return {'exists', id, redis.call('HGETALL', job_key(id))} end

local idempotency = input.idempotency
if idempotency then
  local known = redis.call('GET', idempotency.key)
  if known then
    local fingerprint, id = string.match(known, '^(%S+) (%S+)$')
    if fingerprint ~= idempotency.fingerprint then return {'conflict'} end
    -- Written again, so that the answer can wait for it to be on disk.
    redis.call('SET', idempotency.key, known, 'KEEPTTL')
    return known_as(id)
  end
end
local id = input.job
-- A failed job that is sent again is sent again once.
local before = input.retry_of and job_key(input.retry_of)
if before then
  local again = redis.call('HGET', before, 'retried_as')
  if again and redis.call('EXISTS', job_key(again)) == 1 then
    redis.call('HSET', before, 'retried_as', again)
    return known_as(again)
  end
  if redis.call('HGET', before, 'status') ~= 'failed' then return {'gone'} end
end
-- The same command again, because its answer was lost on the way: it is done already.
if redis.call('EXISTS', job_key(id)) == 1 then
  redis.call('HSET', job_key(id), 'request', redis.call('HGET', job_key(id), 'request'))
  return known_as(id)
end
-- Counted here, where nothing comes between the count and the job.
if input.most_waiting and backlog_size() >= input.most_waiting then return {'full'} end
if idempotency then
  redis.call('SET', idempotency.key, idempotency.fingerprint .. ' ' .. id, 'EX', idempotency.ttl)
end
set_fields(job_key(id), input.fields)
redis.call('HINCRBY', 'counters', 'accepted', 1)
set_status(id, 'queued')
redis.call('SADD', 'lanes', input.fields.lane)
redis.call('ZADD', 'backlog:' .. input.fields.lane, input.fields.rank, id)
redis.call('ZADD', 'due', input.deadline, 'deadline:' .. id)
-- Inputs of this job lie in S3 and were guarded by a clean-up until now.
redis.call('ZREM', 'due', 'cleanup:' .. id)
if before then
  redis.call('HSET', before, 'retried_as', id)
  unbury(input.fields.tenant, 'job:' .. input.retry_of)
  if redis.call('HGET', before, 'has_inputs') == '1' then wake('cleanup', input.retry_of) end
end
grant_all()
local line, pool = unpack(redis.call('HMGET', job_key(id), 'timeline', 'pool'))
return {'created', id, line, pool or ''}
