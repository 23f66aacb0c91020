-- agent:outbox_settle_failed
-- Flags failed rows, 0 to 9.
-- Parameters: none; the ids are in #bodrelay_id with flag 9.
-- Locks: part of the one transaction of a settle; the rows are already locked by outbox_settle_flags; others, which
-- somebody else has locked, are read past.
UPDATE /* iobox_schema */COR_OUTBOX_ENTRY WITH (READCOMMITTEDLOCK, READPAST)
SET C_WAS_PROCESSED = 9
WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id WHERE flag = 9) AND C_WAS_PROCESSED = 0
