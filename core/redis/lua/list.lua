-- One page of a tenant's jobs, newest first, as of one moment: jobs that begin, move or end between two
-- pages are neither doubled nor missed, for the place of a job is its id.
-- Returns {where to continue or "", {id, record}, ...}, or with `ids` {where, id, ...}.
local BATCH = 100
local indexes, wanted, size, by_status = {}, {}, 0, true
for at, status in ipairs(input.statuses) do
  wanted[status] = true
  indexes[at] = index_key(input.tenant, 'status:' .. status)
  size = size + redis.call('ZLEXCOUNT', indexes[at], input.from, input.before)
end
-- Only the shortest index is read; of the others it is asked whether they have its members.
for _, key in ipairs(input.keys) do
  local members = redis.call('ZLEXCOUNT', key, input.from, input.before)
  if members < size then indexes, size, by_status = {key}, members, false end
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

local function forget(id)  -- its record has expired
  for _, key in ipairs(indexes) do redis.pcall('ZREM', key, id) end
end

local function fits(id)
  local status, tenant = unpack(redis.call('HMGET', job_key(id), 'status', 'tenant'))
  if not status then
    forget(id)
    return false
  end
  if not wanted[status] or tenant ~= input.tenant then return false end
  for _, key in ipairs(input.keys) do
    if key ~= indexes[1] and not redis.call('ZSCORE', key, id) then return false end
  end
  return true
end

-- What the page shows of a job; nil if it is not for this page.
local function shown(id)
  -- The index of a status names the tenant's jobs of that status alone, so nothing is asked of these.
  if (input.ids or not by_status or #input.keys > 0) and not fits(id) then return nil end
  if input.ids then return id end
  local record = redis.call('HGETALL', job_key(id))
  if #record > 0 then return {id, record} end
  forget(id)
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
    page[#page + 1] = shown(id)
  end
  if #found < most then return page end
  before, most = '(' .. last, BATCH
end
