-- session:owner_unlock
-- Lets go of the lock of owner_lock.
-- Parameters: @P1 what is no longer owned. Answers 0, or a negative number where this session does not have it.
DECLARE @released int;
EXEC @released = sp_releaseapplock @Resource = @P1, @LockOwner = 'Session';
SELECT CAST(@released AS bigint) AS released;
