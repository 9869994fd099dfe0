-- Move a job to another status, or change its fields, if it is still as the caller saw it.
-- Returns "done", or the current status ("" if there is no such job).
local id = input.job
local key = job_key(id)
local status, discarding, tenant = unpack(redis.call('HMGET', key, 'status', 'discarding', 'tenant'))
-- It was made, whatever becomes of the change: the attempt of a slower twin is listed as well.
if input.attempt and status then record_attempt(tenant or '', 'job', id, input.attempt) end
status = status or ''
local function expected(one)
  for _, was in ipairs(input.was) do
    if was == one then return true end
  end
  return false
end
-- The job has ended, but not its task at the provider (`hold`): what becomes of the task moves
-- `discarding` on instead of the status, until the task has ended as well.
local of_task = discarding and not input.hold and not expected(status) and expected(discarding)
if not of_task and not expected(status) then
  -- Canceled before: rewritten so that the reply can wait for its fsync.
  if input.to == 'canceled' and status == input.to then
    redis.call('HSET', key, 'timeline', redis.call('HGET', key, 'timeline'))
  end
  return status
end
for name, value in pairs(input.expect) do
  if (redis.call('HGET', key, name) or '') ~= value then return status end
end

for name, value in pairs(input.unless) do
  if (redis.call('HGET', key, name) or '') == value then return status end
end

if input.task and input.task ~= cjson.null then
  local known, again = unpack(redis.call('HMGET', key, 'provider_id', 'resubmits'))
  if known and known ~= input.task and not again then return status end
end

local from = of_task and discarding or status
-- Does the job end before its task? Its slot is then held: the provider counts the task.
local holds = input.hold
  and (from == 'generating' or from == 'submitting' and redis.call('HEXISTS', key, 'posting_at') == 1)
-- The provider never had the task: it did not take it, or the request was cut off.
local unsent = false
for _, name in ipairs(input.clear) do unsent = unsent or name == 'posting_at' and not input.add.resubmits end
local over = of_task and (unsent or input.to and input.to ~= 'generating')
if over then
  -- Only facts about the task are kept: no error, no link, and nothing is started.
  local facts = {}
  for _, name in ipairs({
    'provider_id', 'polling_url', 'cost', 'seed', 'input_megapixels', 'output_megapixels', 'webhook_body',
  }) do facts[name] = input.set[name] end
  input.set, input.add, input.count, input.due, input.wake, input.made_at = facts, {}, {}, {}, {}, nil
end

if input.set.cost then cost_in_batch(id, redis.call('HGET', key, 'cost'), input.set.cost) end
set_fields(key, input.set)
for name, by in pairs(input.add) do redis.call('HINCRBY', key, name, by) end
for _, name in ipairs(input.clear) do redis.call('HDEL', key, name) end
-- A link that does not say when it expires lives as long as those of the job's model.
local link_seconds = input.made_at and redis.call('HGET', key, 'link_seconds')
if link_seconds then redis.call('HSET', key, 'result_expires_at', input.made_at + link_seconds) end

if over then
  redis.call('HDEL', key, 'discarding', 'doubt_reason', 'doubt_until', 'taken')
  redis.call('ZREM', 'due', 'submit:' .. id, 'poll:' .. id, 'deadline:' .. id)
  if unsent and redis.call('HEXISTS', key, 'resubmits') == 0 then redis.call('HDEL', key, 'discarded')
  else redis.call('HINCRBY', 'counters', 'discarded', 1) end
elseif of_task and input.to then
  redis.call('HSET', key, 'discarding', input.to)
  redis.call('HDEL', key, 'doubt_reason', 'doubt_until', 'taken')
  redis.call('ZREM', 'due', 'submit:' .. id)
elseif input.to and input.to ~= status then
  set_status(id, input.to)
  -- Without a task that is known, an earlier submit in doubt may have made one.
  if input.hold and redis.call('HEXISTS', key, 'resubmits') == 1 then redis.call('HSET', key, 'discarded', 1) end
  if holds then redis.call('HSET', key, 'discarding', from, 'discarded', 1)
  elseif status == 'submitting' then redis.call('HDEL', key, 'doubt_reason', 'doubt_until', 'taken') end
  local undue = {}
  for _, step in ipairs(input.undue) do
    if not (holds and FITS()[step][from]) then undue[#undue + 1] = step .. ':' .. id end
  end
  redis.call('ZREM', 'due', unpack(undue))
  if input.to == 'generating' and tells(id, 'job.generating', true) then wake('progress', id) end
  if input.to == 'queued' then
    local lane, rank = unpack(redis.call('HMGET', key, 'lane', 'rank'))
    redis.call('ZADD', 'backlog:' .. lane, rank, id)
  elseif status == 'queued' then
    redis.call('ZREM', 'backlog:' .. redis.call('HGET', key, 'lane'), id)
  end
  if input.terminal then
    if holds then  -- without its record, the slot would be taken for nobody's
      input.ttl, input.ttl_owed = math.max(input.ttl, input.ttl_held), math.max(input.ttl_owed, input.ttl_held)
    end
    end_job(id, input)
  end
end
for name, by in pairs(input.count) do redis.call('HINCRBYFLOAT', 'counters', name, by) end
-- A step that is delayed or ends shows that its worker did not die.
local function reset_deaths(step) redis.call('HDEL', key, 'task:' .. step, 'deaths:' .. step) end
for name, at in pairs(input.due) do
  redis.call('ZADD', 'due', at, name .. ':' .. id)
  reset_deaths(name)
end
for _, step in ipairs(input.done) do
  redis.call('ZREM', 'due', step .. ':' .. id)
  reset_deaths(step)
end
for _, step in ipairs(input.wake) do wake(step, id) end

local told = input.set.callback_state
if told == 'dead' then
  add_dead_letter('callback', id)
elseif told then
  remove_dead_letter(tenant or '', 'callback:' .. id)
end

if input.pause then
  redis.call('SET', 'pool:' .. input.pause.pool .. ':paused', input.pause.reason, 'PX', input.pause.ms)
end
if input.refuse then
  redis.call('SET', 'pool:' .. input.refuse.pool .. ':refused', input.refuse.reason)
  redis.call('ZADD', 'due', input.refuse.check_at, 'account:' .. input.refuse.pool)
end
if input.shrink then
  local held = redis.call('ZCARD', 'slots:' .. input.shrink.pool)
  -- If this job is the pool's only one, there is nothing to shrink to. Granted again at once, it would
  -- be refused at once, over and over: pause the pool instead.
  local name, value = ':ceiling', held - 1
  if held <= 1 then name, value = ':paused', 'busy' end
  redis.call('SET', 'pool:' .. input.shrink.pool .. name, value, 'PX', input.shrink.ms)
end
if input.cap then
  local pool, limit = input.cap.pool, input.cap.limit
  local most = input.cap.most or redis.call('ZCARD', 'slots:' .. pool .. ':' .. limit) - 1
  redis.call('SET', 'pool:' .. pool .. ':ceiling:' .. limit, math.max(most, 0), 'PX', input.cap.ms)
end
for name, reason in pairs(input.failed) do breaker_failed(name, reason) end
local mended = 0
for _, name in ipairs(input.passed) do mended = mended + redis.call('DEL', breaker_key(name)) end
local releases = over or input.release and not of_task and not holds
if releases then
  release(id)
  release_breakers(id, over and status or input.to)
end
if releases or mended > 0 then grant_all() end
return 'done'
