-- Put before the scripts that make jobs of a batch's items, behind `create_job.lua`.
--
-- Make jobs of up to `most` of a batch's items; return how many. Pop and create are one step, so a death
-- loses no item and doubles none. Items of a canceled batch become jobs that are canceled already.
local function expand(tenant, batch, most, ttl)
  local key, waiting = batch_key(batch), 'staged:' .. tenant
  local canceled = redis.call('HEXISTS', key, 'canceled_at') == 1
  local made = 0
  while made < most do
    local item = redis.call('LINDEX', key .. ':staged', 0)
    if not item then break end
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
  if redis.call('EXISTS', key .. ':staged') == 0 then
    redis.call('ZREM', waiting, batch)
  else
    redis.call('ZADD', waiting, 'XX', now, batch)  -- behind the tenant's other batches
  end
  return made
end

-- The same of all of a tenant's batches in turn, or of `only` one of them. Returns how many, and whether
-- items are left.
local function expand_for(tenant, most, ttl, only)
  local waiting, made = 'staged:' .. tenant, 0
  local function next_batch()
    if only then return redis.call('ZSCORE', waiting, only) and only end
    return redis.call('ZRANGE', waiting, 0, 0)[1]
  end
  local batch = next_batch()
  while batch and made < most do
    made = made + expand(tenant, batch, most - made, ttl)
    batch = next_batch()
  end
  return made, batch and true or false
end
