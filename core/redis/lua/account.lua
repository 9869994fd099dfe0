-- What was heard of an account: its credits, and whether the provider serves it (again).
-- Returns 1 where it was refused before and is not any more.
local state = 'pool:' .. input.pool
if input.credits then redis.call('SET', state .. ':credits', input.credits) end
redis.call('ZADD', 'due', input.check_at, 'account:' .. input.pool)
if input.refused then
  redis.call('SET', state .. ':refused', input.refused)
  return 0
end
local resumed = redis.call('DEL', state .. ':refused')
grant_all()
return resumed
