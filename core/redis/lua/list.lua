-- One page of a tenant's jobs, newest first, as of one moment: jobs that begin, move or end between two
-- pages are neither doubled nor missed, for the place of a job is its id.
-- Returns {where to continue or "", {id, record}, ...}, or with `ids` {where, id, ...}.
local BATCH = 100
local indexes, wanted, size = {}, {}, 0
for at, status in ipairs(input.statuses) do
  wanted[status] = true
  indexes[at] = index_key(input.tenant, 'status:' .. status)
  size = size + redis.call('ZLEXCOUNT', indexes[at], input.from, input.before)
end
-- Only the shortest index is read; of the others it is asked whether they have its members.
for _, key in ipairs(input.keys) do
  local members = redis.call('ZLEXCOUNT', key, input.from, input.before)
  if members < size then indexes, size = {key}, members end
end

-- The newest members of these indexes before a place, `most` at most.
local function newest(before, most)
  local found = {}
  for _, key in ipairs(indexes) do
    for _, id in ipairs(redis.call('ZREVRANGEBYLEX', key, before, input.from, 'LIMIT', 0, most)) do
      found[#found + 1] = id
    end
  end
  if #indexes > 1 then table.sort(found, function(one, other) return one > other end) end
  for at = #found, most + 1, -1 do found[at] = nil end
  return found
end

local function fits(id)
  local status, tenant = unpack(redis.call('HMGET', job_key(id), 'status', 'tenant'))
  if not status then  -- its record has expired
    for _, key in ipairs(indexes) do redis.pcall('ZREM', key, id) end
    return false
  end
  if not wanted[status] or tenant ~= input.tenant then return false end
  for _, key in ipairs(input.keys) do
    if key ~= indexes[1] and not redis.call('ZSCORE', key, id) then return false end
  end
  return true
end

-- One more is read than is wanted, to see whether another page follows.
local page, looked_at, last, before, most = {''}, 0, '', input.before, input.limit + 1
while true do
  local found = newest(before, most)
  for _, id in ipairs(found) do
    if #page > input.limit or looked_at == input.most then
      page[1] = last
      return page
    end
    looked_at, last = looked_at + 1, id
    if fits(id) then page[#page + 1] = input.ids and id or {id, redis.call('HGETALL', job_key(id))} end
  end
  if #found < most then return page end
  before, most = '(' .. last, BATCH
end
