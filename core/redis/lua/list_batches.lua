-- Return one page of a tenant's batches, the newest first, as {id, record} pairs, and where to continue ("" at
-- the end).
local list, page, last = 'batches:' .. input.tenant, {}, ''
local from = input.cursor ~= '' and '(' .. input.cursor or '+'
local ids = redis.call('ZREVRANGEBYLEX', list, from, '-', 'LIMIT', 0, input.limit + 1)
for at, id in ipairs(ids) do
  if at > input.limit then return {page, last} end
  last = id
  local record = redis.call('HGETALL', batch_key(id))
  if #record > 0 then page[#page + 1] = {id, record} end
end
return {page, ''}
