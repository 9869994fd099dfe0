-- Takes up to `most` tasks off a queue and records in RQ that they run, as rq.Worker does in four round
-- trips (dequeue, fetch, prepare_execution, prepare_job_execution).
-- Tasks in the intermediate list go first: they were popped for this call, or their worker died.
-- Returns for each task its id, its record, the id of its execution, and, if a lease is given, its step
-- and job with our own record. The step then starts with that record, its lease renewed as in
-- core/redis/lua/begin.lua, and needs no round trip of its own.
local rq, queue, worker, most, token, now, stamp, ttl, worker_ttl, lease = unpack(ARGV)
local list, me = rq .. ':queue:' .. queue, rq .. ':worker:' .. worker
local taken = {}
-- A step whose lease was set this recently (seconds) needs no renewal.
local INSTANT = 0.25
local function begin(id)
  local job, step = string.match(id, '^(.+)%-(%a+)%-%d+$')
  if lease == '' or not job then return '', '', {} end
  local member, over = step .. ':' .. job, now + lease
  local due = tonumber(redis.call('ZSCORE', 'due', member) or over)
  -- `now` may be seconds old if this worker waited: a lease that was set meanwhile stays.
  if due < over - INSTANT then redis.call('ZADD', 'due', over, member) end
  return step, job, redis.call('HGETALL', 'job:' .. job)
end
local function take(id)
  local key = rq .. ':job:' .. id
  local record = redis.call('HGETALL', key)
  if #record == 0 then return end  -- RQ ignores missing tasks, too
  local execution = token .. #taken
  local composite = id .. ':' .. execution
  redis.call('HSET', key, 'last_heartbeat', stamp, 'status', 'started', 'started_at', stamp, 'worker_name', worker)
  redis.call('PERSIST', key)
  redis.call('HSET', rq .. ':execution:' .. composite, 'id', execution, 'job_id', id,
    'created_at', now, 'last_heartbeat', now, 'worker_name', worker)
  redis.call('EXPIRE', rq .. ':execution:' .. composite, ttl)
  redis.call('ZADD', rq .. ':executions:' .. id, now + ttl + 60, execution)
  redis.call('EXPIRE', rq .. ':executions:' .. id, ttl + 60)
  redis.call('ZADD', rq .. ':wip:' .. queue, now + ttl, composite)
  redis.call('SADD', me .. ':executions', composite)
  taken[#taken + 1] = {id, record, execution, begin(id)}
end
while #taken < tonumber(most) do
  local id = redis.call('LPOP', list .. ':intermediate') or redis.call('LPOP', list)
  if not id then break end
  take(id)
end
if #taken > 0 then
  redis.call('EXPIRE', me .. ':executions', ttl + 60)
  redis.call('HSET', me, 'state', 'busy', 'last_heartbeat', stamp)
  redis.call('EXPIRE', me, worker_ttl)
end
return taken
