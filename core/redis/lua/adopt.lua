-- Move a job from a lane that no pool serves any more into its current lane.
local id, from = input.job, input.from
if redis.call('ZSCORE', 'backlog:' .. from, id) == false then return 0 end
redis.call('ZREM', 'backlog:' .. from, id)
if redis.call('HGET', job_key(id), 'status') ~= 'queued' then return 0 end
redis.call('HSET', job_key(id), 'lane', input.lane)
redis.call('SADD', 'lanes', input.lane)
redis.call('ZADD', 'backlog:' .. input.lane, redis.call('HGET', job_key(id), 'rank'), id)
return 1
