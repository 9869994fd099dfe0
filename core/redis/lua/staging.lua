-- Put before the scripts that stage a batch, behind `prelude.lua`.
--
-- What services leave that die while they stage a batch expires, and is bounded until then.
--
-- staging        zset    batches that are being staged; score = when their newest chunk came
-- staging:bytes  hash    bytes of their items, by id; `total` is the sum
local function forget_staging(id)
  local bytes = redis.call('HGET', 'staging:bytes', id)
  if bytes then
    redis.call('HINCRBY', 'staging:bytes', 'total', -bytes)
    redis.call('HDEL', 'staging:bytes', id)
  end
  redis.call('ZREM', 'staging', id)
end

local function drop_staged(id)
  redis.call('DEL', batch_key(id) .. ':staged')
  forget_staging(id)
end

-- Note a chunk. Of others than this one, those that waited longest for their next chunk are dropped as long
-- as there are more than `most` bytes; those that have expired, sooner.
local function note_staged(id, bytes, most, ttl)
  redis.call('ZADD', 'staging', now, id)
  redis.call('HINCRBY', 'staging:bytes', id, bytes)
  local total = redis.call('HINCRBY', 'staging:bytes', 'total', bytes)
  local expired = redis.call('ZRANGEBYSCORE', 'staging', '-inf', now - ttl, 'LIMIT', 0, 100)
  for _, one in ipairs(expired) do drop_staged(one) end
  while total > most do
    local oldest = redis.call('ZRANGE', 'staging', 0, 0)[1]
    if oldest == id then return end
    drop_staged(oldest)
    total = tonumber(redis.call('HGET', 'staging:bytes', 'total'))
  end
end
