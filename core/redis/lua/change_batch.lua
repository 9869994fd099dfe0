-- Change a batch if it is still as the caller saw it, or complete it (`to`).
-- Returns "done", or its status ("" if there is no such batch).
local id = input.batch
local key = batch_key(id)
local status, tenant = unpack(redis.call('HMGET', key, 'status', 'tenant'))
-- It was made, whatever becomes of the change: the attempt of a slower twin is listed as well.
if input.attempt and status then record_attempt(tenant or '', 'batch', id, input.attempt) end
status = status or ''
if status ~= input.was then return status end
for name, value in pairs(input.expect) do
  if (redis.call('HGET', key, name) or '') ~= value then return status end
end
for name, value in pairs(input.unless) do
  if (redis.call('HGET', key, name) or '') == value then return status end
end

set_fields(key, input.set)
for name, by in pairs(input.add) do redis.call('HINCRBY', key, name, by) end
for _, name in ipairs(input.clear) do redis.call('HDEL', key, name) end
local function reset_deaths(step) redis.call('HDEL', key, 'task:' .. step, 'deaths:' .. step) end
for name, at in pairs(input.due) do
  redis.call('ZADD', 'due', at, name .. ':' .. id)
  reset_deaths(name)
end
for _, step in ipairs(input.done) do
  redis.call('ZREM', 'due', step .. ':' .. id)
  reset_deaths(step)
end

if input.to then
  redis.call('HSET', key, 'status', input.to)
  redis.call('HINCRBY', 'counters', 'batches:completed', 1)
  add_event(tenant, '', 'completed', id)
  -- The record lives as long as those of its jobs, and as long as its callback is owed.
  local ttl = math.max(input.ttl, math.ceil(redis.call('HGET', key, 'keep_until') - now))
  if redis.call('HGET', key, 'callback_state') == 'waiting' then
    redis.call('HSET', key, 'callback_state', 'pending')
    ttl = math.max(ttl, input.ttl_owed)
    wake('announce', id)
  end
  redis.call('EXPIRE', key, ttl)
  redis.call('EXPIRE', key .. ':jobs', ttl)
end

local told = input.set.callback_state
if told == 'dead' then
  add_dead_letter('batch', id)
elseif told then
  remove_dead_letter(tenant or '', 'batch:' .. id)
end
return 'done'
