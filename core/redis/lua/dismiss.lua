-- Take a dead letter off the lists; its job stays as it is. Returns 1 where it stood there.
-- The inputs that were kept for sending it again are not needed any more.
local id = input.job
local found = unbury(input.tenant, input.kind .. ':' .. id)
if found == 1 and input.kind == 'job' and redis.call('HGET', job_key(id), 'has_inputs') == '1' then
  wake('cleanup', id)
end
return found
