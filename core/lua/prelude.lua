-- Shared by every script. One JSON argument in, one JSON text out.
--
-- job:{id}              hash    the record (core/job.py); `status` is changed only in here
-- backlog:{lane}        zset    jobs that wait for a slot; score -priority, ties by id, which is by age
-- slots:{pool}          zset    jobs that hold a slot; score: end of the slot's lease
-- slots:{pool}:{lane}   zset    those of them in a lane with a limit of its own
-- pool:{name}:paused    string  while it lives, the pool grants nothing
-- pool:{name}:ceiling   string  while it lives, the pool grants up to so many slots
-- due                   zset    "{step}:{id}", score: when `sweep` starts that step (again)
-- sweep:lease           string  the token of the process that sweeps
-- idempotency:{tenant}:{hash of key}  string  "{fingerprint} {job id}"
-- rq:*                          RQ's own (core/queue.py)
local input = cjson.decode(ARGV[1])
local now = input.now

local function job_key(id) return 'job:' .. id end

-- Put a task for `step` of job `id` into RQ's queue, as rq.Queue.enqueue does.
local function enqueue(step, id, number)
  local template = input.tasks[step]
  local task = id .. '-' .. step .. '-' .. number
  local key = input.rq .. ':job:' .. task
  local fields = {'data', (string.gsub(template.call, '{job}', id))}
  for name, value in pairs(template.fields) do
    fields[#fields + 1] = name
    fields[#fields + 1] = tostring(value)
  end
  redis.call('HSET', key, unpack(fields))
  redis.call('SADD', input.rq .. ':queues', input.rq .. ':queue:' .. template.queue)
  redis.call('RPUSH', input.rq .. ':queue:' .. template.queue, task)
  return task
end

-- Start a step: its task, and the time at which `sweep` starts it again unless it is done.
local function wake(step, id)
  local number = redis.call('HINCRBY', job_key(id), 'tasks', 1)
  local task = enqueue(step, id, number)
  redis.call('HSET', job_key(id), 'task:' .. step, task)
  redis.call('ZADD', 'due', now + input.watch, step .. ':' .. id)
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
  return not lane.limit or redis.call('ZCARD', 'slots:' .. pool.name .. ':' .. lane.name) < lane.limit
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
  if redis.call('EXISTS', 'pool:' .. pool.name .. ':paused') == 1 then return end
  local ceiling = tonumber(redis.call('GET', 'pool:' .. pool.name .. ':ceiling') or pool.limit)
  local free = math.min(pool.limit, ceiling) - redis.call('ZCARD', 'slots:' .. pool.name)
  while free > 0 do
    local lane, id = next_lane(pool)
    if not lane then return end
    redis.call('ZREM', 'backlog:' .. lane.name, id)
    if redis.call('HGET', job_key(id), 'status') == 'queued' then
      redis.call('ZADD', 'slots:' .. pool.name, now + input.lease, id)
      if lane.limit then
        redis.call('ZADD', 'slots:' .. pool.name .. ':' .. lane.name, now + input.lease, id)
      end
      redis.call('HSET', job_key(id), 'pool', pool.name)
      set_status(id, 'submitting')
      wake('submit', id)
      free = free - 1
    end
  end
end

local function grant_all()
  for _, pool in ipairs(input.pools) do grant(pool) end
end

local function release(id)
  for _, pool in ipairs(input.pools) do
    redis.call('ZREM', 'slots:' .. pool.name, id)
    for _, lane in ipairs(pool.lanes) do
      if lane.limit then redis.call('ZREM', 'slots:' .. pool.name .. ':' .. lane.name, id) end
    end
  end
end
