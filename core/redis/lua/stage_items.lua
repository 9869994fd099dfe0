-- Stage the next items of a batch that is being accepted. Nobody sees them before `commit_batch`; without
-- it they are forgotten. Returns how many are staged now, -1 if earlier ones are gone, or -2 if another request
-- came first: a batch was accepted with its key, or to retry the same items.
local again = input.retry_of and redis.call('HGET', batch_key(input.retry_of), 'retried_as')
if again and redis.call('EXISTS', batch_key(again)) == 1 then return -2 end
if input.key and redis.call('EXISTS', input.key) == 1 then return -2 end
local key = batch_key(input.batch) .. ':staged'
if redis.call('LLEN', key) ~= input.before then return -1 end
local bytes = 0
for _, item in ipairs(input.items) do
  redis.call('RPUSH', key, item)
  bytes = bytes + #item
end
redis.call('EXPIRE', key, input.ttl)
note_staged(input.batch, bytes, input.most_bytes, input.ttl)
return redis.call('LLEN', key)
