-- Put before the scripts that make jobs, behind `prelude.lua`.
--
-- Make a job: its record, its place in line and its deadline. Whoever calls this grants slots afterwards.
-- `job` holds `job` (the id), `fields`, `deadline` and `retry_of` (core/redis/transitions.py).
local function create_job(job)
  local id, fields = job.job, job.fields
  set_first_status(id, fields)
  redis.call('HINCRBY', 'counters', 'accepted', 1)
  redis.call('SADD', 'lanes', fields.lane)
  redis.call('ZADD', 'backlog:' .. fields.lane, fields.rank, id)
  redis.call('ZADD', 'due', job.deadline, 'deadline:' .. id)
  -- The inputs of this job are in S3, guarded by a scheduled clean-up until now.
  if fields.has_inputs then redis.call('ZREM', 'due', 'cleanup:' .. id) end
  local before = job.retry_of and job_key(job.retry_of)
  if before and redis.call('EXISTS', before) == 1 then
    redis.call('HSET', before, 'retried_as', id)
    remove_dead_letter(fields.tenant, 'job:' .. job.retry_of)
    if redis.call('HGET', before, 'has_inputs') == '1' then wake('cleanup', job.retry_of) end
  end
end
