-- One sweep, by the process that holds the lease. Its cost grows with what is due.
-- Returns as JSON: steps woken, slots freed, jobs overdue (queued past their deadline), steps given up
-- because their workers died repeatedly, whether more is due, and two gauges; or "stale".
if redis.call('GET', 'sweep:lease') ~= input.token then return 'stale' end
redis.call('PEXPIRE', 'sweep:lease', input.lease_ms)

-- Is this step's newest task still queued?
local function still_waits(step, id)
  local task = redis.call('HGET', record_of(step, id), 'task:' .. step)
  if not task then return false end
  return redis.call('LPOS', RQ .. ':queue:' .. QUEUES()[step], task) ~= false
end

-- A worker that died between taking a task and starting it leaves the task in RQ's intermediate list; RQ
-- would run it again long after its replacement. Without its record it also counts as no death
-- (`backs_off`): it never started.
local function forget_orphan(step, id)
  local task = redis.call('HGET', record_of(step, id), 'task:' .. step)
  local list = RQ .. ':queue:' .. QUEUES()[step] .. ':intermediate'
  if task and redis.call('LREM', list, 0, task) > 0 then redis.call('DEL', RQ .. ':job:' .. task) end
end

-- Start a step that has no job record to store its task's name. It stays due until it is done.
local function start_without_record(step, id, member)
  redis.call('ZADD', 'due', now + WATCH, member)
  if must_wait(step) then return end
  local task = id .. '-' .. step .. '-0'
  local queue = RQ .. ':queue:' .. QUEUES()[step]
  if redis.call('LPOS', queue, task) == false then enqueue(step, id, 0) end
end

local woken, overdue, died = {}, {}, {}

-- Consecutive deaths after which a step is still restarted at once, and those after which it is given
-- up.
local FREE_DEATHS, MOST_DEATHS, MOST_OF_A_DEAD_LINK = 2, 10, 5

-- Count a worker's death during a step. The count restarts when the job moves on, and is cleared
-- whenever the step ends or is delayed (transition.lua).
local function count_death(step, id)
  local record = record_of(step, id)
  local line, known = unpack(redis.call('HMGET', record, 'timeline', 'deaths:' .. step))
  local stood, deaths = string.match(known or '', '^(%d+) (%d+)$')
  line = line or ''  -- a batch has none
  deaths = (tonumber(stood) == #line and tonumber(deaths) or 0) + 1
  redis.call('HSET', record, 'deaths:' .. step, #line .. ' ' .. deaths)
  return deaths
end

-- A step's last task started, and neither finished nor delayed the step: its worker died. The step
-- itself may have killed the worker, which takes all other tasks of the process along. So it is
-- restarted later each time, apart from the tasks that died with it, and given up in the end. A paid
-- image is not given up while its link lives. Returns whether the step is not restarted now. An overdue
-- deadline may start a step sooner, but not one that backs off.
local function backs_off(step, id, by_deadline)
  local member, record = step .. ':' .. id, record_of(step, id)
  local task = redis.call('HGET', record, 'task:' .. step)
  if not task then
    return by_deadline and redis.call('HEXISTS', record, 'deaths:' .. step) == 1
      and tonumber(redis.call('ZSCORE', 'due', member) or 0) > now
  end
  -- According to RQ's record: a task that was lost before a worker started it killed nobody.
  if redis.call('HEXISTS', RQ .. ':job:' .. task, 'started_at') == 0 then return false end
  local deaths, collects = count_death(step, id), step == 'collect'
  local dies = collects and redis.call('HGET', record, 'result_expires_at') or 0
  local left = tonumber(dies or 0) - now
  if left <= 0 and deaths >= (collects and MOST_OF_A_DEAD_LINK or MOST_DEATHS) then
    died[#died + 1] = member
    return true
  end
  local spread = 0.5 + 0.5 * ((input.jitter + math.random()) % 1)
  local wait = WATCH * spread * 2 ^ math.min(deaths - FREE_DEATHS - 1, 3)
  if collects then wait = math.min(wait, math.max(left / 4, 0)) end
  if deaths <= FREE_DEATHS or wait == 0 then return false end
  redis.call('HDEL', record, 'task:' .. step)
  redis.call('ZADD', 'due', now + wait, member)
  return true
end

-- The record of a dead letter should be gone by now; if it is kept for longer, so is the letter.
local function forget(member, tenant, letter)
  local kind, id = string.match(letter, '^(%a+):(.+)$')
  local left = redis.call('PTTL', kind == 'batch' and batch_key(id) or job_key(id))
  if left < 0 then
    remove_dead_letter(tenant, letter)
  else
    redis.call('ZADD', 'due', now + left / 1000, member)
  end
end

-- Most items of batches that become jobs in one round.
local MOST_ITEMS = 200
local made, batches_left = 0, false

-- Make jobs of a tenant's items. Tenants take turns, and so do the batches of each.
local function act_on_items(tenant, member)
  local by_this, left = 0, true
  if made < MOST_ITEMS then
    by_this, left = expand_for(tenant, MOST_ITEMS - made, input.kept)
    made = made + by_this
    if left then redis.call('ZADD', 'due', now, member)  -- behind the other tenants
    else redis.call('ZREM', 'due', member) end
  end
  batches_left = batches_left or left
end

-- Start a batch's step again.
local function act_on_batch(step, id, member)
  local status = redis.call('HGET', batch_key(id), 'status')
  if status ~= (step == 'results' and 'ended' or 'completed') then
    redis.call('ZREM', 'due', member)
    return
  end
  redis.call('ZADD', 'due', now + WATCH, member)
  if still_waits(step, id) then return end
  forget_orphan(step, id)
  if not backs_off(step, id) then
    wake(step, id)
    woken[#woken + 1] = member
  end
end

local function act(step, id)
  local member = step .. ':' .. id
  if step == 'expand' then
    act_on_items(id, member)
    return
  end
  if BATCH_STEPS[step] then
    act_on_batch(step, id, member)
    return
  end
  if step == 'forget' then
    forget(member, string.match(id, '^(%S+) (.+)$'))
    return
  end
  if step == 'account' then  -- belongs to a pool, not to a job
    start_without_record(step, id, member)
    return
  end
  local status, discarding = unpack(redis.call('HMGET', job_key(id), 'status', 'discarding'))
  if not status then
    -- Inputs were stored for a job that was never accepted or whose record is gone.
    if step == 'cleanup' then start_without_record(step, id, member)
    else redis.call('ZREM', 'due', member) end
    return
  end
  -- The task of an ended job is waited for as it was before.
  local fits = FITS()[step]
  if discarding and fits[discarding] then status = discarding end
  if not fits[status] then
    redis.call('ZREM', 'due', member)
    return
  end
  redis.call('ZADD', 'due', now + WATCH, member)
  local by_deadline = step == 'deadline'
  if by_deadline then
    if status == 'queued' then overdue[#overdue + 1] = id return end
    step = status == 'submitting' and 'submit' or 'poll'
  end
  if not must_wait(step) and not still_waits(step, id) then
    forget_orphan(step, id)
    if not backs_off(step, id, by_deadline) then
      wake(step, id)
      woken[#woken + 1] = step .. ':' .. id
    end
  end
end

local due = redis.call('ZRANGEBYSCORE', 'due', '-inf', now, 'LIMIT', 0, input.batch)
for _, member in ipairs(due) do
  local step, id = string.match(member, '^(%a+):(.+)$')
  act(step, id)
end

-- Slots whose lease expired: renewed if the job, or its task, still needs its slot, freed otherwise.
local freed = {}
for _, pool in ipairs(POOLS()) do
  local holders = redis.call('ZRANGEBYSCORE', 'slots:' .. pool.name, '-inf', now, 'LIMIT', 0, input.batch)
  for _, id in ipairs(holders) do
    local status, discarding = unpack(redis.call('HMGET', job_key(id), 'status', 'discarding'))
    status = discarding or status
    if status == 'submitting' or status == 'generating' then
      redis.call('ZADD', 'slots:' .. pool.name, now + LEASE, id)
    else
      release(id)
      freed[#freed + 1] = id
    end
  end
end
grant_all()

local held = 0
for _, pool in ipairs(POOLS()) do held = held + redis.call('ZCARD', 'slots:' .. pool.name) end
local more = #due == input.batch or batches_left
return cjson.encode({
  more = more, woken = woken, overdue = overdue, died = died, freed = freed, backlog = backlog_size(), held = held
})
