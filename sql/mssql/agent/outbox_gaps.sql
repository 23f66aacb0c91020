-- agent:outbox_gaps
-- Where a range of ids has no row, whatever its flag and whosever it is; the highest ones, where there are many. A row
-- that is not committed is none yet.
-- Parameters: @P1 after, @P2 up to (there is a row), @P3 limit.
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and found by a later scan; a poll never stands still
-- behind them.
SELECT TOP (@P3) ids.before + 1 AS first_id, ids.entry_id - 1 AS last_id
FROM (
    SELECT CAST(C_ID AS bigint) AS entry_id,
        LAG(CAST(C_ID AS bigint), 1, CAST(@P1 AS bigint)) OVER (ORDER BY C_ID) AS before
    FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
    WHERE C_ID > @P1 AND C_ID <= @P2) AS ids
WHERE ids.entry_id > ids.before + 1
ORDER BY ids.entry_id DESC
