-- session:owner_lock
-- Backs an owner's claim with a lock of this session: an owner whose session lives keeps what is his even when his
-- heartbeat is late, and a copy of his journal cannot send beside him. Not waited for; gone with the session.
-- Parameters: @P1 what is owned. Answers 0 or more where it was granted, a negative number where not.
DECLARE @granted int;
EXEC @granted = sp_getapplock @Resource = @P1, @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0;
SELECT CAST(@granted AS bigint) AS granted;
