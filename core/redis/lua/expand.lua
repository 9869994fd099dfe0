-- Put before the scripts that make jobs of a batch's items, behind `create_job.lua`.
--
-- Make jobs of up to `most` of a batch's items; return how many. Pop and create are one step, so a death
-- loses no item and doubles none. Items of a canceled batch become jobs that are canceled already.
local function expand(batch, most, ttl)
  local key = batch_key(batch)
  local canceled = redis.call('HEXISTS', key, 'canceled_at') == 1
  local made = 0
  while made < most do
    local item = redis.call('LINDEX', key .. ':staged', 0)
    if not item then
      redis.call('ZREM', 'due', 'expand:' .. batch)
      redis.call('ZREM', 'staged:' .. (redis.call('HGET', key, 'tenant') or ''), batch)
      return made
    end
    local job = cjson.decode(item)
    create_job(job)
    redis.call('LPOP', key .. ':staged')
    redis.call('DECR', 'staged')
    if canceled then
      redis.call('ZREM', 'backlog:' .. job.fields.lane, job.job)
      redis.call('ZREM', 'due', 'deadline:' .. job.job)
      set_status(job.job, 'canceled')
      end_job(job.job, {to = 'canceled', code = '', ttl = ttl.ended, ttl_owed = ttl.owed})
    end
    made = made + 1
  end
  redis.call('ZADD', 'due', now, 'expand:' .. batch)  -- behind the other batches
  return made
end
