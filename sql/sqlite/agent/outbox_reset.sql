-- agent:outbox_reset
-- Sets failed rows to 0 again, as a DBA would to send them once more; answers with the ids that it changed.
-- The likelihood keeps an index of the flag out: over one like Infor's, all that waits would be walked. (A unary plus
-- would, too, but not find the number in a column of text.)
-- Parameters: ?1 ids as a JSON array.
-- Locks: one BEGIN IMMEDIATE transaction.
UPDATE COR_OUTBOX_ENTRY
SET C_WAS_PROCESSED = 0
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND likelihood(C_WAS_PROCESSED = 9, 0.9)
RETURNING C_ID
