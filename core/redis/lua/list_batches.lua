-- Return one page of a tenant's batches, the newest first, as {id, record} pairs, and where to continue ("" at
-- the end). With `callback`, only those whose callback is in this state; so many are looked at, at most.
local MOST_LOOKED_AT, READ_AT_ONCE = 1000, 200
local list, page, last, looked = 'batches:' .. input.tenant, {}, '', 0
local from = input.cursor ~= '' and '(' .. input.cursor or '+'
while true do
  local ids = redis.call('ZREVRANGEBYLEX', list, from, '-', 'LIMIT', 0, READ_AT_ONCE)
  for _, id in ipairs(ids) do
    if #page == input.limit or looked == MOST_LOOKED_AT then return {page, last} end
    last, looked = id, looked + 1
    local state = redis.call('HGET', batch_key(id), 'callback_state')
    if state and (not input.callback or state == input.callback) then
      page[#page + 1] = {id, redis.call('HGETALL', batch_key(id))}
    end
  end
  if #ids < READ_AT_ONCE then return {page, ''} end
  from = '(' .. last
end
