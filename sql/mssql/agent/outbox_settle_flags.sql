-- agent:outbox_settle_flags
-- The flags of rows that are about to be changed; a row that is missing is gone. ours = 1: the log says of the
-- same message that it was accepted, so a flag of 1 is our own from an earlier settle whose answer was lost.
-- Read before the updates, and no OUTPUT of theirs: the tables of the application may have triggers (error
-- 334).
-- Parameters: none; the ids are in #bodrelay_id, the log rows that go with them in #bodrelay_log.
-- Locks: UPDLOCK on at most 500 rows, in the order of their ids, to the end of the one transaction: nobody
-- changes a flag between this and the update.
SELECT CAST(e.C_ID AS bigint) AS C_ID, CAST(COALESCE(e.C_WAS_PROCESSED, -1) AS bigint) AS C_WAS_PROCESSED,
    CASE WHEN EXISTS (
        SELECT 1
        FROM #bodrelay_log AS n
        JOIN [bodrelay].bodrelay_message_log AS l ON l.message_key = n.message_key
        WHERE n.entry_id = e.C_ID AND l.state = 'accepted') THEN 1 ELSE 0 END AS ours
FROM /* iobox_schema */COR_OUTBOX_ENTRY AS e WITH (UPDLOCK, ROWLOCK)
WHERE e.C_ID IN (SELECT entry_id FROM #bodrelay_id)
ORDER BY e.C_ID
