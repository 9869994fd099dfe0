-- Record an account check: its credits, and whether the provider accepts the account.
-- Returns 1 if the account was refused before and is accepted again.
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
