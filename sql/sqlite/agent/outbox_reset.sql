-- agent:outbox_reset
-- Sets failed rows to 0 again, as a DBA would to send them once more; answers with the ids that it changed.
-- Parameters: ?1 ids as a JSON array.
-- Locks: one BEGIN IMMEDIATE transaction.
UPDATE COR_OUTBOX_ENTRY
SET C_WAS_PROCESSED = 0
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND C_WAS_PROCESSED = 9
RETURNING C_ID
