-- agent:outbox_reset
-- Sets failed rows to 0 again, as a DBA would to send them once more; outbox_settle_flags has said before,
-- under the same lock, which ones are at 9.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: one transaction; the rows are already locked by outbox_settle_flags; others, which
-- somebody else has locked, are read past.
UPDATE /* iobox_schema */COR_OUTBOX_ENTRY WITH (READCOMMITTEDLOCK, READPAST)
SET C_WAS_PROCESSED = 0
WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id) AND C_WAS_PROCESSED = 9
