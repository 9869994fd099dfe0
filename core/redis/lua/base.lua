-- Put before `prelude.lua`: what every script is told, and circuit breakers.
local input = cjson.decode(ARGV[1])
local now = input.now

local function job_key(id) return 'job:' .. id end

-- Keep a key for at least so many seconds. As each write costs its share of the disk, one that is used often
-- is renewed once in an hour.
local RENEWED = 3600
local function keep_for(key, seconds)
  if redis.call('TTL', key) < seconds then redis.call('EXPIRE', key, seconds + RENEWED) end
end

local function set_fields(key, fields)
  local flat = {}
  for name, value in pairs(fields) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  if #flat > 0 then redis.call('HSET', key, unpack(flat)) end
end

-- Circuit breakers: after repeated failures, a dependency is not used for a while, longer each time.
-- Then one attempt at a time checks whether it is back (core/scheduling/circuit_breakers.py).
local function breaker_key(name) return 'breaker:' .. name end

local function breaker_failed(name, reason)
  local key, rule = breaker_key(name), BREAKERS()[string.match(name, '^%a+')]
  redis.call('HSET', key, 'reason', reason)
  local opened_at, open_until = unpack(redis.call('HMGET', key, 'opened_at', 'open_until'))
  local spread = 0.5 + 0.5 * input.jitter
  if now < tonumber(open_until or 0) then
    -- The attempt started before the breaker opened: no news. But finished images are still being stored
    -- all the while; as long as that fails, making another one would show nothing more.
    if rule.hold and redis.call('HGET', job_key(input.job), 'status') == 'storing' then
      local longer = math.max(open_until, now + rule.base * spread)
      redis.call('HSET', key, 'open_until', math.min(opened_at + rule.hold, longer))
    end
    return
  end
  local before = tonumber(redis.call('HGET', key, 'failures') or 0)
  -- One image that is rejected repeatedly says nothing about the next one.
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

-- Does this breaker admit a job? If it is half open, also until when it then waits for the outcome.
local function breaker_admits(name)
  local failures, open_until, trying_until =
    unpack(redis.call('HMGET', breaker_key(name), 'failures', 'open_until', 'trying_until'))
  local rule = BREAKERS()[string.match(name, '^%a+')]
  if tonumber(failures or 0) < rule.after then return true end
  if now < tonumber(open_until or 0) or now < tonumber(trying_until or 0) then return false end
  return true, now + rule.trying
end

-- May this job run? If all breakers admit it, those that are half open wait for its outcome.
local function breakers_admit(names, id)
  local half_open = {}
  for _, name in ipairs(names) do
    local admits, until_then = breaker_admits(name)
    if not admits then return false end
    half_open[breaker_key(name)] = until_then
  end
  for key, until_then in pairs(half_open) do
    redis.call('HSET', key, 'trying_until', until_then, 'trying_job', id)
  end
  return true
end

-- The breaker of the limit that a lane's jobs count in.
local function limit_breaker(pool, lane) return 'provider:' .. pool.name .. ':' .. lane.model end

-- A job leaves its slot. If half-open breakers wait for it but it never got to its attempt, the next job
-- may try.
local function release_breakers(id, to)
  local names, own = {}, redis.call('HGET', job_key(id), 'lane')
  for _, pool in ipairs(POOLS()) do
    names[#names + 1] = 'provider:' .. pool.name
    for _, lane in ipairs(pool.lanes) do
      if lane.limit and lane.name == own then names[#names + 1] = limit_breaker(pool, lane) end
    end
  end
  if to ~= 'storing' then names[#names + 1] = 'storage' end
  for _, name in ipairs(names) do
    if redis.call('HGET', breaker_key(name), 'trying_job') == id then
      redis.call('HDEL', breaker_key(name), 'trying_until', 'trying_job')
    end
  end
end
