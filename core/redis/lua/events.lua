-- Put before `prelude.lua`: the streams of events that callers are woken by. `set_status` adds to them.
--
-- events:{tenant}  stream  changes of the tenant's jobs: job, status, at (Unix seconds) and batch. Events are
--                          kept for an hour; a batch that is complete has an event without a job.

-- A minute longer than promised: Redis' clock, which the ids are from, may differ from ours.
local EVENT_SECONDS = 3660
-- An event follows the acceptance of its job within days, so a stream that expires has no newer ones.
local STREAM_SECONDS = 8 * 86400

local function add_event(tenant, job, status, batch)
  local key = 'events:' .. tenant
  redis.call(
    'XADD', key, 'MINID', '~', string.format('%.0f', (now - EVENT_SECONDS) * 1000), '*',
    'job', job, 'status', status, 'at', string.format('%.3f', now), 'batch', batch
  )
  return key
end

local function publish_event(id, status, tenant, batch)
  if not tenant then return end
  local key = add_event(tenant, id, status, batch or '')
  if status == 'queued' then keep_for(key, STREAM_SECONDS) end
end
