-- session:owner_lock
-- Backs an owner's claim with a lock of this session, so that a living copy of his journal does not send beside him. Not
-- waited for; gone with the session.
-- Parameters: @P1 what is owned. Answers 0 or more where it was granted, a negative number where not, and the number of this
-- session.
DECLARE @granted int;
EXEC @granted = sp_getapplock @Resource = @P1, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0;
SELECT CAST(@granted AS bigint) AS granted, CAST(@@SPID AS bigint) AS session_id;
