-- agent:outbox_settle_flags
-- The flags of rows that are about to be changed; a row that is missing is gone, or locked by somebody else, who is not
-- waited for. Read before the updates, and no OUTPUT of theirs: the tables of the application may have triggers
-- (error 334). READCOMMITTEDLOCK, since READPAST needs it where the database has READ_COMMITTED_SNAPSHOT.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: UPDLOCK on at most 500 rows, in the order of their ids, to the end of the one transaction: nobody
-- changes a flag between this and the update.
SELECT CAST(e.C_ID AS bigint) AS C_ID, CAST(COALESCE(e.C_WAS_PROCESSED, -1) AS bigint) AS C_WAS_PROCESSED
FROM /* iobox_schema */COR_OUTBOX_ENTRY AS e WITH (READCOMMITTEDLOCK, READPAST, UPDLOCK, ROWLOCK)
WHERE e.C_ID IN (SELECT entry_id FROM #bodrelay_id)
ORDER BY e.C_ID
