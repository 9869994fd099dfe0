-- Put before `prelude.lua`: the indexes that jobs are listed from. `set_status` alone keeps them.
--
-- A job is in the index of its status, and from its acceptance in those that its record names (`indexes`).
-- All scores are 0, so members are in the order of their ids, which begin with the time of acceptance.
local function index_key(tenant, name) return 'jobs:' .. tenant .. ':' .. name end

-- When a job was accepted, in Unix seconds; nil if its id does not say.
local function accepted_at(id)
  local milliseconds = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
  return milliseconds and milliseconds / 1000
end

-- A record expires without an event: with each job that ends, up to two older ones leave its indexes. A
-- record is kept for JOB_TTL after its end, so younger jobs are not asked for.
local function forget_oldest(key)
  for _, id in ipairs(redis.call('ZRANGE', key, 0, 1)) do
    if (accepted_at(id) or 0) + JOB_TTL < now and redis.call('EXISTS', job_key(id)) == 0 then
      redis.call('ZREM', key, id)
    end
  end
end

-- An index outlives the records of all its members, and goes once no job is added to it any more.
local function add_to_index(key, id, ends)
  redis.call('ZADD', key, 0, id)
  if ends then forget_oldest(key) end
  keep_for(key, INDEX_TTL)
end

-- A job takes another status; `from` is nil if it is new, `others` are the names of its other indexes.
local function index_job(id, from, to, tenant, others)
  if not tenant then return end
  if from then redis.call('ZREM', index_key(tenant, 'status:' .. from), id) end
  local ends = to == 'succeeded' or to == 'failed' or to == 'canceled'
  -- A job that has not ended has no expiry, so an index of such jobs needs none.
  if not ends then redis.call('ZADD', index_key(tenant, 'status:' .. to), 0, id)
  else add_to_index(index_key(tenant, 'status:' .. to), id, true) end
  if from and not ends then return end
  -- Added again at its end, for an index may have expired while a job waited for very long.
  for name in string.gmatch(others or '', '%S+') do add_to_index(index_key(tenant, name), id, ends) end
end
