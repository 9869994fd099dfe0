-- Forget what is staged of a batch that will not be accepted. Returns 1; 0 if it has been accepted after all.
if redis.call('EXISTS', batch_key(input.batch)) == 1 then return 0 end
drop_staged(input.batch)
return 1
