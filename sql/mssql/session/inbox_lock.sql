-- session:inbox_lock
-- Lets one session at a time store what a connection point receives: the rules for duplicates and variations read first
-- and write then. Waited for as long as any lock; gone with the transaction.
-- Parameters: @P1 what is stored into. Answers 0 or more where it was granted, a negative number where not.
DECLARE @granted int;
EXEC @granted = sp_getapplock @Resource = @P1, @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 5000;
SELECT CAST(@granted AS bigint) AS granted;
