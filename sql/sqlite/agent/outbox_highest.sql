-- agent:outbox_highest
-- The highest id of the whole table.
-- Parameters: none.
-- Locks: reads only; in one read transaction with the scan.
SELECT coalesce(max(C_ID), 0) AS highest FROM COR_OUTBOX_ENTRY
