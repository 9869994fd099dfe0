-- Have a sample event sent, once; or record what came of it (`attempt`).
-- callback-test:{id}  hash  tenant, url and type; then the outcome
local id = input.test
local key = 'callback-test:' .. id
if input.attempt then
  -- Only the first of two runs is recorded.
  local tenant = redis.call('HGET', key, 'tenant')
  if not tenant or redis.call('HEXISTS', key, 'outcome') == 1 then return 0 end
  set_fields(key, input.attempt)
  record_attempt(tenant, 'test', id, input.attempt)
else
  set_fields(key, input.fields)
  redis.call('EXPIRE', key, input.ttl)
  enqueue('test_callback', id, 0)
end
return 1
