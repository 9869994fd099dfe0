-- Stage the next items of a batch that is being accepted. Nobody sees them before `commit_batch`; without
-- it they are forgotten. Returns how many are staged now, or -1 if earlier ones are gone.
local key = batch_key(input.batch) .. ':staged'
if redis.call('LLEN', key) ~= input.before then return -1 end
for _, item in ipairs(input.items) do redis.call('RPUSH', key, item) end
redis.call('EXPIRE', key, input.ttl)
return redis.call('LLEN', key)
