-- Shared by every script: one JSON argument in, one reply out. The settings are defined in a line put in
-- front of this file, as constants in capitals (core/redis/store.py).
--
-- job:{id}              hash    the record (core/jobs/job.py); `status` is changed only in here
-- backlog:{lane}        zset    jobs that wait for a slot; score -priority, ties by id, which is by age
-- lanes                 set     every lane that a job has ever waited in
-- pace                  hash    lane -> "{time of the last grant} {seconds between two} {how many were measured}"
-- jobs:{tenant}:status:{status}        zset  ids of jobs with this status; score 0 (job_index.lua)
-- jobs:{tenant}:model:{model}          zset  the same, of a model
-- jobs:{tenant}:metadata:{key}:{hash}  zset  the same, with a value of an indexed key of their metadata
-- slots:{pool}          zset    jobs that hold a slot; score: when the slot's lease expires
-- slots:{pool}:{model}  zset    the same, per model that has its own limit
-- pool:{name}:paused    string  while it exists, the pool grants no slots; value: the reason
-- pool:{name}:refused   string  the provider refuses the account: no slots are granted; value: the reason
-- pool:{name}:credits   string  credits left, as last reported
-- pool:{name}:ceiling   string  while it exists, the pool grants at most this many slots
-- pool:{name}:ceiling:{model}  string  the same, per model that has its own limit
-- breaker:{name}        hash    circuit breaker of `provider:{pool}`, `provider:{pool}:{model}` (of a limit) or
--                               `storage`: consecutive failures, reason, and open until when; deleted by the
--                               first success
-- ready                 string  written to check that Redis accepts writes; its value means nothing
-- counters              hash    event counters, never reset (core/operations/metrics.py)
-- due                   zset    "{step}:{id}", score: when `sweep` starts that step (again)
-- dead                  zset    dead letters as "{tenant} {kind}:{id}"; score: time of death
-- dead:{tenant}         zset    those of one tenant as "{kind}:{id}"; kind: job, callback or batch (its callback)
-- events:{tenant}       stream  changes of a tenant's jobs within the last hour (events.lua)
-- attempts:{tenant}     stream  attempts at callbacks (attempts.lua)
-- callback-test:{id}    hash    a sample event and its outcome (test_callback.lua)
-- sweep:lease           string  the token of the process that sweeps
-- idempotency:{tenant}:{hash of key}  string  "{fingerprint} {job id}"
-- rq:*                          RQ's own (core/scheduling/task_queue.py)
-- Expiry of the result link that a task in the collect queue is about. nil for other tasks: clean-ups,
-- and tasks that RQ runs again although their job no longer needs them.
local function link_expiry(task)
  local id = string.match(task, '^(.+)%-collect%-%d+$')
  if not id then return nil end
  local status, dies = unpack(redis.call('HMGET', job_key(id), 'status', 'result_expires_at'))
  return status == 'storing' and tonumber(dies) or nil
end

local SCAN_DEPTH = 100

-- Insert before the first result that expires later, searching from the head.
local function push_before_later(list, task, mine)
  local head = redis.call('LRANGE', list, 0, SCAN_DEPTH - 1)
  for _, other in ipairs(head) do
    local dies = link_expiry(other)
    if dies and dies > mine then
      redis.call('LINSERT', list, 'BEFORE', other, task)
      return
    end
  end
  if #head == SCAN_DEPTH then
    redis.call('LINSERT', list, 'AFTER', head[SCAN_DEPTH], task)
  else
    redis.call('RPUSH', list, task)
  end
end

-- Insert after the last result that expires earlier, searching from the tail: a new result is nearly
-- always the last to expire.
local function push_behind_earlier(list, task, mine)
  for place = -1, -SCAN_DEPTH, -1 do
    local other = redis.call('LINDEX', list, place)
    if not other then break end
    local dies = link_expiry(other)
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

-- Keep the collect queue sorted by link expiry: the first to expire is collected first.
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

-- Enqueue a task for `step` of job `id` as rq.Queue.enqueue does.
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
  -- RQ never cleans up a task whose worker was killed: every task record expires.
  redis.call('EXPIRE', key, TASK_TTL)
  local list = RQ .. ':queue:' .. queue
  redis.call('SADD', RQ .. ':queues', list)
  if step == 'collect' then
    push_collect(list, task, id)
  elseif step == 'cleanup' then  -- quick, and keeps the results in order
    redis.call('LPUSH', list, task)
  else
    redis.call('RPUSH', list, task)
  end
  return task
end

-- While the bucket's breaker is not closed, deletions wait: they would only take threads from storing.
local function must_wait(step)
  return step == 'cleanup' and redis.call('EXISTS', breaker_key('storage')) > 0
end

-- The record that a step's task and deaths are noted in: that of a batch, or of a job.
local BATCH_STEPS = {results = true, announce = true}
local function record_of(step, id) return BATCH_STEPS[step] and batch_key(id) or job_key(id) end

-- Start a step: enqueue its task, and set the time at which `sweep` starts it again unless it is done.
local function wake(step, id)
  if must_wait(step) then
    redis.call('ZADD', 'due', now + WATCH, step .. ':' .. id)
    return
  end
  local record = record_of(step, id)
  local number = redis.call('HINCRBY', record, 'tasks', 1)
  local task = enqueue(step, id, number)
  redis.call('HSET', record, 'task:' .. step, task)
  redis.call('ZADD', 'due', now + WATCH, step .. ':' .. id)
end

-- A dead letter is listed until it is retried, dismissed, or its record expires.
local function add_dead_letter(kind, id)
  local record = kind == 'batch' and batch_key(id) or job_key(id)
  local tenant = redis.call('HGET', record, 'tenant')
  if not tenant then return end
  local letter, since = kind .. ':' .. id, string.format('%.3f', now)
  redis.call('ZADD', 'dead', since, tenant .. ' ' .. letter)
  redis.call('ZADD', 'dead:' .. tenant, since, letter)
  local left = math.max(redis.call('PTTL', record), 0)
  redis.call('ZADD', 'due', now + left / 1000, 'forget:' .. tenant .. ' ' .. letter)
end

local function remove_dead_letter(tenant, letter)
  redis.call('ZREM', 'dead:' .. tenant, letter)
  redis.call('ZREM', 'due', 'forget:' .. tenant .. ' ' .. letter)
  return redis.call('ZREM', 'dead', tenant .. ' ' .. letter)
end

-- What goes with every status; `from` is nil if the job is new.
local function follow_status(id, from, to, tenant, indexes, batch)
  index_job(id, from, to, tenant, indexes)
  if batch then count_in_batch(id, batch, from, to) end
  publish_event(id, to, tenant, batch)
end

-- The only places that write a status: here of a new record, whose fields are known already,
local function set_first_status(id, fields)
  fields.status, fields.timeline = 'queued', string.format('queued=%.3f', now)
  set_fields(job_key(id), fields)
  follow_status(id, nil, 'queued', fields.tenant, fields.indexes, fields.batch)
end

-- and here of a job that moves.
local function set_status(id, status)
  local key = job_key(id)
  local timeline, from, tenant, indexes, batch =
    unpack(redis.call('HMGET', key, 'timeline', 'status', 'tenant', 'indexes', 'batch'))
  local entry = string.format('%s=%.3f', status, now)
  redis.call('HSET', key, 'status', status, 'timeline', timeline and timeline .. ';' .. entry or entry)
  follow_status(id, from, status, tenant, indexes, batch)
end

-- What follows from the end of a job: the counter, how long its record is kept, its callback, the list of
-- dead letters, and the deletion of its inputs. `ended` holds `to`, `code`, `dead`, `ttl` and `ttl_owed`.
local function end_job(id, ended)
  local key = job_key(id)
  -- The code is a separate argument: the error holds text from the provider, which cjson may not parse.
  local code = ended.to == 'failed' and ended.code ~= '' and ':' .. ended.code or ''
  redis.call('HINCRBY', 'counters', 'ended:' .. ended.to .. code, 1)
  redis.call('EXPIRE', key, kept_seconds(id, ended.ttl))
  if redis.call('HGET', key, 'callback_state') == 'waiting' then
    local owed = tells(id, 'job.' .. ended.to)
    redis.call('HSET', key, 'callback_state', owed and 'pending' or 'none')
    if owed then
      redis.call('EXPIRE', key, kept_seconds(id, ended.ttl_owed))
      wake('notify', id)
    end
  end
  if ended.dead then add_dead_letter('job', id) end
  if redis.call('HGET', key, 'has_inputs') == '1' then
    -- A dead letter can be retried as long as it is kept; its inputs expire with its record.
    local kept = ended.dead and redis.call('PTTL', key) / 1000
    if kept then redis.call('ZADD', 'due', now + kept, 'cleanup:' .. id) else wake('cleanup', id) end
  end
end

-- May a job of this lane have a slot, as far as its models' own limit goes?
local function has_room(pool, lane)
  if not lane.limit then return true end
  local held = redis.call('ZCARD', 'slots:' .. pool.name .. ':' .. lane.model)
  local ceiling = redis.call('GET', 'pool:' .. pool.name .. ':ceiling:' .. lane.model)
  if held >= math.min(lane.limit, tonumber(ceiling or lane.limit)) then return false end
  return (breaker_admits(limit_breaker(pool, lane)))
end

-- The lane whose first job is next: highest priority, then oldest.
local function next_lane(pool)
  local best, best_id, best_score
  for _, lane in ipairs(pool.lanes) do
    local head = redis.call('ZRANGE', 'backlog:' .. lane.name, 0, 0, 'WITHSCORES')
    local id, score = head[1], tonumber(head[2])
    local sooner = id and (not best or score < best_score or (score == best_score and id < best_id))
    if sooner and has_room(pool, lane) then best, best_id, best_score = lane, id, score end
  end
  return best, best_id
end

local MOST_MEASURED = 50

-- Measure how fast a lane's line moves: the average of the seconds between two grants, of which the newest
-- counts most. Only the time that the job itself waited counts: before, the lane may have been empty.
local function measure_pace(lane, id)
  if id == input.job and input.fields then return end  -- granted as it was accepted: there is no line
  local last, seconds, count =
    string.match(redis.call('HGET', 'pace', lane) or '0 0 0', '^(%S+) (%S+) (%S+)$')
  last, seconds, count = tonumber(last), tonumber(seconds), tonumber(count)
  if (accepted_at(id) or now) <= last then
    count = math.min(count + 1, MOST_MEASURED)
    seconds = seconds + (math.max(now - last, 0) - seconds) / count
  end
  redis.call('HSET', 'pace', lane, string.format('%.3f %.6f %d', now, seconds, count))
end

local granted = 0  -- by this script, in all pools

-- Grant every free slot of a pool to the next jobs, and start their submit.
local function grant(pool)
  -- Asked first, for it is usual: then nothing else needs to be known.
  local held = redis.call('ZCARD', 'slots:' .. pool.name)
  if held >= pool.limit then return end
  local state, breakers = 'pool:' .. pool.name, {'provider:' .. pool.name, 'storage'}
  if redis.call('EXISTS', state .. ':paused', state .. ':refused') > 0 then return end
  local troubled = redis.call('EXISTS', breaker_key(breakers[1]), breaker_key(breakers[2])) > 0
  local ceiling = tonumber(redis.call('GET', state .. ':ceiling') or pool.limit)
  local free = math.min(pool.limit, ceiling) - held
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
        breakers_admit({limit_breaker(pool, lane)}, id)
      end
      redis.call('HSET', job_key(id), 'pool', pool.name)
      set_status(id, 'submitting')
      measure_pace(lane.name, id)
      wake('submit', id)
      free, granted = free - 1, granted + 1
    end
  end
end

-- Jobs that wait for a slot, in all lanes that any pool serves, and items of batches that are no jobs yet.
local function backlog_size()
  local size, counted = tonumber(redis.call('GET', 'staged') or 0), {}
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
