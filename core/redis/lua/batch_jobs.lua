-- Return what a batch's results say of each of these jobs: a list of fields per job.
local found = {}
for at, id in ipairs(input.jobs) do
  found[at] = redis.call('HMGET', job_key(id), unpack(input.names))
end
return found
