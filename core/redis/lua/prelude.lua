-- Shared by every script. One JSON argument in, one JSON text out. Before this stands a line that
-- defines what the settings say, in capitals (core/redis/store.py).
--
-- job:{id}              hash    the record (core/jobs/job.py); `status` is changed only in here
-- backlog:{lane}        zset    jobs that wait for a slot; score -priority, ties by id, which is by age
-- lanes                 set     every lane that a job ever waited in
-- slots:{pool}          zset    jobs that hold a slot; score: end of the slot's lease
-- slots:{pool}:{model}  zset    those of them of a model with a limit of its own
-- pool:{name}:paused    string  while it lives, the pool grants nothing; says why
-- pool:{name}:refused   string  the provider refuses the account: nothing is granted; says why
-- pool:{name}:credits   string  credits left, as last heard
-- pool:{name}:ceiling   string  while it lives, the pool grants up to so many slots
-- breaker:{name}        hash    failures in a row of `provider:{pool}` or `storage`, why, and until when
--                               it is left alone; gone once something went well
-- ready                 string  written to see whether Redis takes writes; means nothing
-- counters              hash    what happened since the beginning (core/operations/metrics.py)
-- due                   zset    "{step}:{id}", score: when `sweep` starts that step (again)
-- dead                  zset    dead letters as "{tenant} {kind}:{id}"; score: since when
-- dead:{tenant}         zset    those of one tenant as "{kind}:{id}"; kind: job or callback
-- sweep:lease           string  the token of the process that sweeps
-- idempotency:{tenant}:{hash of key}  string  "{fingerprint} {job id}"
-- rq:*                          RQ's own (core/scheduling/task_queue.py)
local input = cjson.decode(ARGV[1])
local now = input.now

local function job_key(id) return 'job:' .. id end

local function set_fields(key, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  if #flat > 0 then redis.call('HSET', key, unpack(flat)) end
end

-- Breakers: what failed so often in a row that more tries would harm is left alone for a while,
-- longer each time. Then one try at a time finds out whether it is back (core/scheduling/circuit_breakers.py).
local function breaker_key(name) return 'breaker:' .. name end

local function breaker_failed(name, reason)
  local key, rule = breaker_key(name), BREAKERS()[string.match(name, '^%a+')]
  redis.call('HSET', key, 'reason', reason)
  local opened_at, open_until = unpack(redis.call('HMGET', key, 'opened_at', 'open_until'))
  local spread = 0.5 + 0.5 * input.jitter
  if now < tonumber(open_until or 0) then
    -- Begun before it opened, and told only now: nothing new. But an image that is made already is
    -- tried all the while: as long as that fails, making another one would tell no more.
    if rule.hold and redis.call('HGET', job_key(input.job), 'status') == 'storing' then
      local longer = math.max(open_until, now + rule.base * spread)
      redis.call('HSET', key, 'open_until', math.min(opened_at + rule.hold, longer))
    end
    return
  end
  local before = tonumber(redis.call('HGET', key, 'failures') or 0)
  -- One image that is refused time and again says nothing of the next one.
  if rule.hold and redis.call('HSETNX', key, 'job:' .. input.job, 1) == 0 and before < rule.after then
    return
  end
  local over = redis.call('HINCRBY', key, 'failures', 1) - rule.after
  if over >= 0 then
    local wait = math.min(rule.longest, rule.base * 2 ^ math.min(over, 30))
    redis.call('HSET', key, 'opened_at', now, 'open_until', now + wait * spread)
    redis.call('HDEL', key, 'trying_until', 'trying_job')
  end
  redis.call('EXPIRE', key, rule.forget)
end

-- May this job be tried? If all of these say so, those that are half open wait for it.
local function breakers_admit(names, id)
  local half_open = {}
  for _, name in ipairs(names) do
    local failures, open_until, trying_until =
      unpack(redis.call('HMGET', breaker_key(name), 'failures', 'open_until', 'trying_until'))
    local rule = BREAKERS()[string.match(name, '^%a+')]
    if tonumber(failures or 0) >= rule.after then
      if now < tonumber(open_until or 0) or now < tonumber(trying_until or 0) then return false end
      half_open[breaker_key(name)] = now + rule.trying
    end
  end
  for key, until_then in pairs(half_open) do
    redis.call('HSET', key, 'trying_until', until_then, 'trying_job', id)
  end
  return true
end

-- A job leaves its slot. If breakers waited for it and it did not come as far as to try, the next
-- one may.
local function let_go(id, to)
  local names = {}
  for _, pool in ipairs(POOLS()) do names[#names + 1] = 'provider:' .. pool.name end
  if to ~= 'storing' then names[#names + 1] = 'storage' end
  for _, name in ipairs(names) do
    if redis.call('HGET', breaker_key(name), 'trying_job') == id then
      redis.call('HDEL', breaker_key(name), 'trying_until', 'trying_job')
    end
  end
end

-- When does the result die that a task in the collect queue is about? nil for what else waits there:
-- clean-ups, and tasks that RQ took up again although their job needs them no more.
local function dies_at(task)
  local id = string.match(task, '^(.+)%-collect%-%d+$')
  if not id then return nil end
  local status, dies = unpack(redis.call('HMGET', job_key(id), 'status', 'result_expires_at'))
  return status == 'storing' and tonumber(dies) or nil
end

local LOOK = 100

-- To the place before the first result that dies later, seen from the front.
local function push_before_later(list, task, mine)
  local head = redis.call('LRANGE', list, 0, LOOK - 1)
  for _, other in ipairs(head) do
    local dies = dies_at(other)
    if dies and dies > mine then
      redis.call('LINSERT', list, 'BEFORE', other, task)
      return
    end
  end
  if #head == LOOK then
    redis.call('LINSERT', list, 'AFTER', head[LOOK], task)
  else
    redis.call('RPUSH', list, task)
  end
end

-- To the place behind the last result that dies earlier, seen from the end: for one that was just
-- heard of, which is nearly always the last to die.
local function push_behind_earlier(list, task, mine)
  for place = -1, -LOOK, -1 do
    local other = redis.call('LINDEX', list, place)
    if not other then break end
    local dies = dies_at(other)
    if dies and dies <= mine then
      if place == -1 then
        redis.call('RPUSH', list, task)
      else
        redis.call('LINSERT', list, 'AFTER', other, task)
      end
      return
    end
  end
  push_before_later(list, task, mine)
end

-- Keep the collect queue in the order in which results die: the first to die is fetched first.
local function push_collect(list, task, id)
  local mine = tonumber(redis.call('HGET', job_key(id), 'result_expires_at'))
  if not mine then
    redis.call('RPUSH', list, task)
  elseif input.to == 'storing' then
    push_behind_earlier(list, task, mine)
  else
    push_before_later(list, task, mine)
  end
end

-- Put a task for `step` of job `id` into RQ's queue, as rq.Queue.enqueue does.
local function enqueue(step, id, number)
  local queue = QUEUES()[step]
  local task = id .. '-' .. step .. '-' .. number
  local key = RQ .. ':job:' .. task
  local fields = TASK_FIELDS()
  for _, value in ipairs({
    'data', (string.gsub(CALLS()[step], '{job}', id)), 'created_at', input.stamp,
    'enqueued_at', input.stamp, 'origin', queue, 'description', step,
  }) do fields[#fields + 1] = value end
  redis.call('HSET', key, unpack(fields))
  -- RQ's own clean-up may never see a task whose worker was killed: no record stays for ever.
  redis.call('EXPIRE', key, TASK_TTL)
  local list = RQ .. ':queue:' .. queue
  redis.call('SADD', RQ .. ':queues', list)
  if step == 'collect' then
    push_collect(list, task, id)
  elseif step == 'cleanup' then  -- quickly done, and out of the way of the order of results
    redis.call('LPUSH', list, task)
  else
    redis.call('RPUSH', list, task)
  end
  return task
end

-- While the bucket is in trouble, deleting can wait: it would only take threads from storing.
local function must_wait(step)
  return step == 'cleanup' and redis.call('EXISTS', breaker_key('storage')) > 0
end

-- Start a step: its task, and the time at which `sweep` starts it again unless it is done.
local function wake(step, id)
  if must_wait(step) then
    redis.call('ZADD', 'due', now + WATCH, step .. ':' .. id)
    return
  end
  local number = redis.call('HINCRBY', job_key(id), 'tasks', 1)
  local task = enqueue(step, id, number)
  redis.call('HSET', job_key(id), 'task:' .. step, task)
  redis.call('ZADD', 'due', now + WATCH, step .. ':' .. id)
end

-- A dead letter stands in its lists until it is sent again, dismissed, or its record is gone.
local function bury(kind, id)
  local tenant = redis.call('HGET', job_key(id), 'tenant')
  if not tenant then return end
  local letter, since = kind .. ':' .. id, string.format('%.3f', now)
  redis.call('ZADD', 'dead', since, tenant .. ' ' .. letter)
  redis.call('ZADD', 'dead:' .. tenant, since, letter)
  local left = math.max(redis.call('PTTL', job_key(id)), 0)
  redis.call('ZADD', 'due', now + left / 1000, 'forget:' .. tenant .. ' ' .. letter)
end

local function unbury(tenant, letter)
  redis.call('ZREM', 'dead:' .. tenant, letter)
  redis.call('ZREM', 'due', 'forget:' .. tenant .. ' ' .. letter)
  return redis.call('ZREM', 'dead', tenant .. ' ' .. letter)
end

-- The one place where a status is written.
local function set_status(id, status)
  local key = job_key(id)
  local timeline = redis.call('HGET', key, 'timeline')
  local entry = string.format('%s=%.3f', status, now)
  redis.call('HSET', key, 'status', status, 'timeline', timeline and timeline .. ';' .. entry or entry)
end

-- Is the lane below its own limit in this pool?
local function has_room(pool, lane)
  return not lane.limit or redis.call('ZCARD', 'slots:' .. pool.name .. ':' .. lane.model) < lane.limit
end

-- The lane whose first waiting job goes first of all: highest priority, then oldest.
local function next_lane(pool)
  local best, best_id, best_score
  for _, lane in ipairs(pool.lanes) do
    if has_room(pool, lane) then
      local head = redis.call('ZRANGE', 'backlog:' .. lane.name, 0, 0, 'WITHSCORES')
      local id, score = head[1], tonumber(head[2])
      if id and (not best or score < best_score or (score == best_score and id < best_id)) then
        best, best_id, best_score = lane, id, score
      end
    end
  end
  return best, best_id
end

-- Give every free slot of a pool to the jobs that come first; each is submitted from here.
local function grant(pool)
  local state, breakers = 'pool:' .. pool.name, {'provider:' .. pool.name, 'storage'}
  if redis.call('EXISTS', state .. ':paused', state .. ':refused') > 0 then return end
  local troubled = redis.call('EXISTS', breaker_key(breakers[1]), breaker_key(breakers[2])) > 0
  local ceiling = tonumber(redis.call('GET', state .. ':ceiling') or pool.limit)
  local free = math.min(pool.limit, ceiling) - redis.call('ZCARD', 'slots:' .. pool.name)
  while free > 0 do
    local lane, id = next_lane(pool)
    if not lane then return end
    local waits = redis.call('HGET', job_key(id), 'status') == 'queued'
    if waits and troubled and not breakers_admit(breakers, id) then return end
    redis.call('ZREM', 'backlog:' .. lane.name, id)
    if waits then
      redis.call('ZADD', 'slots:' .. pool.name, now + LEASE, id)
      if lane.limit then
        redis.call('ZADD', 'slots:' .. pool.name .. ':' .. lane.model, now + LEASE, id)
      end
      redis.call('HSET', job_key(id), 'pool', pool.name)
      set_status(id, 'submitting')
      wake('submit', id)
      free = free - 1
    end
  end
end

-- How many jobs wait for a slot, in all lanes that any pool serves.
local function backlog_size()
  local size, counted = 0, {}
  for _, pool in ipairs(POOLS()) do
    for _, lane in ipairs(pool.lanes) do
      if not counted[lane.name] then
        counted[lane.name] = true
        size = size + redis.call('ZCARD', 'backlog:' .. lane.name)
      end
    end
  end
  return size
end

local function grant_all()
  for _, pool in ipairs(POOLS()) do grant(pool) end
end

local function release(id)
  for _, pool in ipairs(POOLS()) do
    redis.call('ZREM', 'slots:' .. pool.name, id)
    for _, lane in ipairs(pool.lanes) do
      if lane.limit then redis.call('ZREM', 'slots:' .. pool.name .. ':' .. lane.model, id) end
    end
  end
end
