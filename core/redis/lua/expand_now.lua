-- Make jobs of a tenant's items at once, up to `most` per call; the sweep does it by and by. With `batch`,
-- of that batch alone. No slot is granted: whoever asks wants to cancel.
-- Returns 1 if items are left, else 0.
local _, left = expand_for(input.tenant, input.most, input.kept, input.batch)
return left and 1 or 0
