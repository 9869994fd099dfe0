-- Accept a batch whose items are staged: from here on it is visible, and its items become jobs.
-- Returns {"created", id, record}, {"exists", id, record}, {"conflict"}, {"full"}, {"lost"} if staged items
-- are gone, or {"gone"} if the batch to retry is not kept. What is not accepted is staged no longer.
local id = input.batch
local key = batch_key(id)
local function known_as(known)
  if known ~= id then drop_staged(id) end
  return {'exists', known, redis.call('HGETALL', batch_key(known))}
end
local function refuse(word)
  drop_staged(id)
  return {word}
end

local idempotency = input.idempotency
if idempotency then
  local known = redis.call('GET', idempotency.key)
  if known then
    local fingerprint, accepted = string.match(known, '^(%S+) (%S+)$')
    if fingerprint ~= idempotency.fingerprint then return refuse('conflict') end
    -- Rewritten so that the reply can wait for its fsync.
    redis.call('SET', idempotency.key, known, 'KEEPTTL')
    return known_as(accepted)
  end
end
-- The same command, repeated because its reply was lost: already done.
if redis.call('EXISTS', key) == 1 then
  redis.call('HSET', key, 'request', redis.call('HGET', key, 'request'))
  return known_as(id)
end
-- What failed in a batch is retried at most once.
local before = input.retry_of and batch_key(input.retry_of)
if before then
  local again = redis.call('HGET', before, 'retried_as')
  if again and redis.call('EXISTS', batch_key(again)) == 1 then
    redis.call('HSET', before, 'retried_as', again)
    return known_as(again)
  end
  if redis.call('HGET', before, 'status') ~= 'completed' then return refuse('gone') end
end
if redis.call('LLEN', key .. ':staged') ~= input.total then return {'lost'} end
-- Checked in the script, so that no other job can come in between.
if input.most_waiting and backlog_size() + input.total > input.most_waiting then return refuse('full') end

if idempotency then
  redis.call('SET', idempotency.key, idempotency.fingerprint .. ' ' .. id, 'EX', idempotency.ttl)
end
set_fields(key, input.fields)
redis.call('HSET', key, 'total', input.total, 'status', 'running')
redis.call('PERSIST', key .. ':staged')
forget_staging(id)
redis.call('INCRBY', 'staged', input.total)
redis.call('ZADD', 'staged:' .. input.fields.tenant, now, id)
-- The inputs of its items are in S3; their jobs will own them.
for _, job in ipairs(input.guarded) do redis.call('ZREM', 'due', 'cleanup:' .. job) end
-- A tenant with other items that wait keeps its turn.
redis.call('ZADD', 'due', 'NX', now, 'expand:' .. input.fields.tenant)
redis.call('HINCRBY', 'counters', 'batches:accepted', 1)
local list = 'batches:' .. input.fields.tenant
redis.call('ZADD', list, 0, id)
for _, oldest in ipairs(redis.call('ZRANGE', list, 0, 1)) do
  if redis.call('EXISTS', batch_key(oldest)) == 0 then redis.call('ZREM', list, oldest) end
end
if before then redis.call('HSET', before, 'retried_as', id) end
return {'created', id, redis.call('HGETALL', key)}
