-- The place of a waiting job: {jobs ahead of it in its lane, the lane's pace}; {} if it does not wait.
local lane = redis.call('HGET', job_key(input.job), 'lane')
local ahead = lane and redis.call('ZRANK', 'backlog:' .. lane, input.job)
if not ahead then return {} end
return {ahead, redis.call('HGET', 'pace', lane) or ''}
