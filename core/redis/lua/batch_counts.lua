-- What a batch knows of its jobs: `set_status` calls `count_in_batch`, and a new cost `cost_in_batch`.
-- Put before `prelude.lua`.
--
-- batch:{id}         hash    the record (core/batches/batch.py); `jobs:{status}` counts its jobs
-- batch:{id}:staged  list    its items that are not jobs yet (core/redis/lua/create_job.lua)
-- batch:{id}:jobs    zset    its jobs; score 0, so by id, which is the order of its items
-- batches:{tenant}   zset    the batches of a tenant; score 0, so by id, which is by age
-- staged             string  items of all accepted batches that are not jobs yet; they count as waiting
-- staged:{tenant}    zset    accepted batches of a tenant with such items; score = when jobs were last made of some
local function batch_key(id) return 'batch:' .. id end

local ENDS = {succeeded = true, failed = true, canceled = true}

-- A job was created (`from` is nil) or moved. The last one to end makes the batch's results due.
local function count_in_batch(id, batch, from, to)
  local key = batch_key(batch)
  local total = tonumber(redis.call('HGET', key, 'total'))
  if not total then return end
  if from then
    redis.call('HINCRBY', key, 'jobs:' .. from, -1)
  else
    redis.call('ZADD', key .. ':jobs', 0, id)
  end
  redis.call('HINCRBY', key, 'jobs:' .. to, 1)
  if ENDS[to] and redis.call('HINCRBY', key, 'ended', 1) == total then
    redis.call('HSET', key, 'status', 'ended', 'ended_at', string.format('%.3f', now))
    redis.call('ZADD', 'due', now, 'results:' .. batch)
  end
end

-- The provider told what a job costs; `before` is what it told earlier.
local function cost_in_batch(id, before, after)
  local batch = redis.call('HGET', job_key(id), 'batch')
  if batch and redis.call('EXISTS', batch_key(batch)) == 1 then
    redis.call('HINCRBYFLOAT', batch_key(batch), 'cost', (tonumber(after) or 0) - (tonumber(before) or 0))
  end
end

-- Seconds that an ended job's record is kept: `ttl`, and until its batch has no need of it.
local function kept_seconds(id, ttl)
  local batch = redis.call('HGET', job_key(id), 'batch')
  local keep_until = batch and redis.call('HGET', batch_key(batch), 'keep_until')
  return keep_until and math.max(ttl, math.ceil(keep_until - now)) or ttl
end
