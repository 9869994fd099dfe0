-- Send a callback again, with the full time limit.
-- Returns its previous state, or "" if there is no such job.
local id = input.job
local key = job_key(id)
local state = redis.call('HGET', key, 'callback_state') or ''
if state == 'pending' then
  -- Due now at the latest. If its task is queued, or runs, it is being sent: a second task beside it would
  -- send it twice, and count as the death of the first one's worker.
  if redis.call('HEXISTS', key, 'task:notify') == 0 then redis.call('ZADD', 'due', now, 'notify:' .. id) end
elseif state == 'delivered' or state == 'dead' then
  local attempts = redis.call('HGET', key, 'callback_attempts') or 0
  redis.call('HSET', key, 'callback_state', 'pending', 'callback_from', now, 'callback_before', attempts)
  redis.call('HINCRBY', key, 'callback_resends', 1)
  local status, tenant, indexes = unpack(redis.call('HMGET', key, 'status', 'tenant', 'indexes'))
  tenant = tenant or ''
  if redis.call('PTTL', key) < input.ttl_owed * 1000 then
    redis.call('EXPIRE', key, input.ttl_owed)
    index_job(id, nil, status, tenant, indexes)  -- it stays listed for as long
    if redis.call('ZSCORE', 'dead:' .. tenant, 'job:' .. id) then
      -- The job can be retried for as long as its record lives, so its inputs stay as well.
      redis.call('ZADD', 'due', 'XX', now + input.ttl_owed, 'cleanup:' .. id)
    end
  end
  remove_dead_letter(tenant, 'callback:' .. id)
  wake('notify', id)
end
return state
