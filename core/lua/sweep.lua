-- One round of sweeping, by whoever holds the lease. Cost grows with what is due.
-- Returns as JSON what was woken, freed, and is overdue (queued past its deadline), whether more is
-- due, and two gauges; or "stale".
if redis.call('GET', 'sweep:lease') ~= input.token then return 'stale' end
redis.call('PEXPIRE', 'sweep:lease', input.lease_ms)

-- Is this step's newest task still in the list, so that a worker will come to it?
local function still_waits(step, id)
  local task = redis.call('HGET', job_key(id), 'task:' .. step)
  if not task then return false end
  return redis.call('LPOS', input.rq .. ':queue:' .. input.tasks[step].queue, task) ~= false
end

-- A worker that died between taking a task and starting it leaves it in RQ's list of such tasks,
-- from where RQ would run it again, long after the one that takes its place.
local function forget_orphan(step, id)
  local task = redis.call('HGET', job_key(id), 'task:' .. step)
  local list = input.rq .. ':queue:' .. input.tasks[step].queue .. ':intermediate'
  if task and redis.call('LREM', list, 0, task) > 0 then redis.call('DEL', input.rq .. ':job:' .. task) end
end

-- Start a step that has no record to keep its task's name in. It stays due until it is done.
local function start_without_record(step, id, member)
  redis.call('ZADD', 'due', now + input.watch, member)
  if must_wait(step) then return end
  local task = id .. '-' .. step .. '-0'
  local queue = input.rq .. ':queue:' .. input.tasks[step].queue
  if redis.call('LPOS', queue, task) == false then enqueue(step, id, 0) end
end

local woken, overdue = {}, {}

-- The record of a dead letter should be gone by now; where it is kept for longer, so is the letter.
local function forget(member, tenant, letter)
  local left = redis.call('PTTL', 'job:' .. string.match(letter, ':(.+)$'))
  if left < 0 then
    unbury(tenant, letter)
  else
    redis.call('ZADD', 'due', now + left / 1000, member)
  end
end

local function act(step, id)
  local member = step .. ':' .. id
  if step == 'forget' then
    forget(member, string.match(id, '^(%S+) (.+)$'))
    return
  end
  if step == 'account' then  -- about a pool, not about a job
    start_without_record(step, id, member)
    return
  end
  local status = redis.call('HGET', job_key(id), 'status')
  if not status then
    -- Inputs were stored for a job that was never accepted, or whose record is gone.
    if step == 'cleanup' then start_without_record(step, id, member)
    else redis.call('ZREM', 'due', member) end
    return
  end
  if not input.fits[step][status] then
    redis.call('ZREM', 'due', member)
    return
  end
  redis.call('ZADD', 'due', now + input.watch, member)
  if step == 'deadline' then
    if status == 'queued' then overdue[#overdue + 1] = id return end
    step = status == 'submitting' and 'submit' or 'poll'
  end
  if not must_wait(step) and not still_waits(step, id) then
    forget_orphan(step, id)
    wake(step, id)
    woken[#woken + 1] = step .. ':' .. id
  end
end

local due = redis.call('ZRANGEBYSCORE', 'due', '-inf', now, 'LIMIT', 0, input.batch)
for _, member in ipairs(due) do
  local step, id = string.match(member, '^(%a+):(.+)$')
  act(step, id)
end

-- Slots whose lease ended: kept by jobs that still stand there, freed where the holder is lost.
local freed = {}
for _, pool in ipairs(input.pools) do
  local holders = redis.call('ZRANGEBYSCORE', 'slots:' .. pool.name, '-inf', now, 'LIMIT', 0, input.batch)
  for _, id in ipairs(holders) do
    local status = redis.call('HGET', job_key(id), 'status')
    if status == 'submitting' or status == 'generating' then
      redis.call('ZADD', 'slots:' .. pool.name, now + input.lease, id)
    else
      release(id)
      freed[#freed + 1] = id
    end
  end
end
grant_all()

local held = 0
for _, pool in ipairs(input.pools) do held = held + redis.call('ZCARD', 'slots:' .. pool.name) end
local more = #due == input.batch
return cjson.encode({
  more = more, woken = woken, overdue = overdue, freed = freed, backlog = backlog_size(), held = held
})
