-- agent:outbox_gaps
-- Where a range of ids has no row, whatever its flag and whosever it is; the highest ones, where there are many.
-- Parameters: ?1 after, ?2 up to (there is a row), ?3 limit.
-- Locks: reads only; in one read transaction with the scan.
SELECT before + 1 AS first_id, entry_id - 1 AS last_id
FROM (
    SELECT C_ID AS entry_id, lag(C_ID, 1, ?1) OVER (ORDER BY C_ID) AS before
    FROM COR_OUTBOX_ENTRY
    WHERE C_ID > ?1 AND C_ID <= ?2)
WHERE entry_id > before + 1
ORDER BY entry_id DESC
LIMIT ?3
