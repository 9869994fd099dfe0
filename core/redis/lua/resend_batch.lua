-- Send a batch's callback again, with the full time limit.
-- Returns its previous state, or "" if there is no such batch.
local id = input.batch
local key = batch_key(id)
local state = redis.call('HGET', key, 'callback_state') or ''
if state == 'pending' then
  -- As in resend.lua: not beside a task that is queued, or runs.
  if redis.call('HEXISTS', key, 'task:announce') == 0 then redis.call('ZADD', 'due', now, 'announce:' .. id) end
elseif state == 'delivered' or state == 'dead' then
  local attempts = redis.call('HGET', key, 'callback_attempts') or 0
  redis.call('HSET', key, 'callback_state', 'pending', 'callback_from', now, 'callback_before', attempts)
  redis.call('HINCRBY', key, 'callback_resends', 1)
  if redis.call('PTTL', key) < input.ttl_owed * 1000 then redis.call('EXPIRE', key, input.ttl_owed) end
  remove_dead_letter(redis.call('HGET', key, 'tenant') or '', 'batch:' .. id)
  wake('announce', id)
end
return state
