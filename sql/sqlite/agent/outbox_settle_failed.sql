-- agent:outbox_settle_failed
-- Flags failed rows, 0 to 9, and answers with the ids that it changed.
-- Parameters: ?1 ids as a JSON array.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
UPDATE COR_OUTBOX_ENTRY
SET C_WAS_PROCESSED = 9
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND C_WAS_PROCESSED = 0
RETURNING C_ID
