-- Has the caller asked to be told of this event? Of the ends it is told unless it has chosen.
local function tells(id, event, chosen)
  local events = redis.call('HGET', job_key(id), 'callback_events')
  if not events then return not chosen end
  return string.find(' ' .. events .. ' ', ' ' .. event .. ' ', 1, true) ~= nil
end

-- attempts:{tenant}  stream  every attempt at a callback, oldest first; about the newest ATTEMPTS are kept,
--                            and none much longer than ATTEMPTS_TTL after the last one
local function record_attempt(tenant, kind, id, attempt)
  local key, flat = 'attempts:' .. tenant, {kind, id}
  for name, value in pairs(attempt) do
    flat[#flat + 1] = name
    flat[#flat + 1] = value
  end
  redis.call('XADD', key, 'MAXLEN', '~', ATTEMPTS, '*', unpack(flat))
  keep_for(key, ATTEMPTS_TTL)
  redis.call('HINCRBY', 'counters', 'callbacks:' .. kind .. ':' .. attempt.outcome, 1)
end
