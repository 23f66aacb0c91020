-- agent:outbox_settle_failed
-- Flags failed rows, 0 to 9, and answers with the ids that it changed.
-- The likelihood keeps an index of the flag out: over one like Infor's, all that waits would be walked. (A unary plus
-- would, too, but not find the number in a column of text.)
-- Parameters: ?1 ids as a JSON array.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a settle.
UPDATE COR_OUTBOX_ENTRY
SET C_WAS_PROCESSED = 9
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND likelihood(C_WAS_PROCESSED = 0, 0.9)
RETURNING C_ID
