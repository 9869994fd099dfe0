-- Dismiss a dead letter; its job or batch stays unchanged. Returns 1 if it was listed.
-- Also deletes the inputs that were kept for a retry.
local id = input.id
local found = remove_dead_letter(input.tenant, input.kind .. ':' .. id)
if found == 1 and input.kind == 'job' and redis.call('HGET', job_key(id), 'has_inputs') == '1' then
  wake('cleanup', id)
end
return found
