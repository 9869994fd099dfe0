-- Records in RQ that tasks succeeded, as rq.Worker does in three round trips and a watch each
-- (handle_execution_ended, handle_job_success). Results are not kept: our steps return none.
-- Arguments after the first five: for each task its id, its execution, its start, its end, and its
-- seconds.
local rq, queue, worker, now, result_ttl = unpack(ARGV)
local me = rq .. ':worker:' .. worker
local seconds = 0
for at = 6, #ARGV, 5 do
  local id, execution, began, ended, took = unpack(ARGV, at, at + 4)
  local key, composite = rq .. ':job:' .. id, id .. ':' .. execution
  redis.call('HSET', key, 'status', 'finished', 'started_at', began, 'ended_at', ended, 'last_heartbeat', ended)
  redis.call('EXPIRE', key, result_ttl)
  redis.call('ZADD', rq .. ':finished:' .. queue, now + result_ttl, id)
  redis.call('DEL', rq .. ':execution:' .. composite)
  redis.call('ZREM', rq .. ':executions:' .. id, execution)
  redis.call('ZREM', rq .. ':wip:' .. queue, composite)
  redis.call('SREM', me .. ':executions', composite)
  seconds = seconds + took
end
redis.call('HINCRBY', me, 'successful_job_count', (#ARGV - 5) / 5)
redis.call('HINCRBYFLOAT', me, 'total_working_time', seconds)
if redis.call('EXISTS', me .. ':executions') == 0 then redis.call('HSET', me, 'state', 'idle') end
