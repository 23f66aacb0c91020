-- agent:outbox_settle_accepted
-- Flags accepted rows, 0 or 9 to 1.
-- Parameters: none; the ids are in #bodrelay_id with flag 1.
-- Locks: part of the one transaction of a settle; the rows are already locked by outbox_settle_flags; others, which
-- somebody else has locked, are read past.
UPDATE /* iobox_schema */COR_OUTBOX_ENTRY WITH (READCOMMITTEDLOCK, READPAST)
SET C_WAS_PROCESSED = 1
WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id WHERE flag = 1) AND C_WAS_PROCESSED IN (0, 9)
