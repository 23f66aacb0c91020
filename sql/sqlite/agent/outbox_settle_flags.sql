-- agent:outbox_settle_flags
-- The flags of rows that a settle did not change: they have another flag, or are gone.
-- Parameters: ?1 ids as a JSON array.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
SELECT C_ID, C_WAS_PROCESSED
FROM COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT value FROM json_each(?1))
