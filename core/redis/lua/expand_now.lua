-- Make jobs of a tenant's items at once, up to `most` per call; the sweep does it by and by. With `batch`,
-- of that batch alone. No slot is granted: whoever asks wants to cancel.
-- Returns 1 if items are left, else 0.
local list = 'staged:' .. input.tenant
local function next_batch()
  if input.batch then return redis.call('ZSCORE', list, input.batch) and input.batch end
  return redis.call('ZRANGE', list, 0, 0)[1]
end
local made, batch = 0, next_batch()
while batch and made < input.most do
  made = made + expand(batch, input.most - made, input.kept)
  if redis.call('EXISTS', batch_key(batch) .. ':staged') == 0 then redis.call('ZREM', list, batch) end
  batch = next_batch()
end
return batch and 1 or 0
