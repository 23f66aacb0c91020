-- agent:outbox_settle_accepted
-- Flags accepted rows, 0 or 9 to 1, and answers with the ids that it changed.
-- Parameters: ?1 ids as a JSON array.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
UPDATE COR_OUTBOX_ENTRY
SET C_WAS_PROCESSED = 1
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND C_WAS_PROCESSED IN (0, 9)
RETURNING C_ID
