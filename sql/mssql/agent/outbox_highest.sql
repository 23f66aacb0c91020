-- agent:outbox_highest
-- The highest id of the whole table, of what is committed.
-- Parameters: none.
-- Locks: none under READ_COMMITTED_SNAPSHOT. Without it READPAST (in the place of /* readpast */): rows that an
-- open business transaction has locked are passed over and found by a later scan; a poll never stands still
-- behind them.
SELECT CAST(COALESCE(MAX(C_ID), 0) AS bigint) AS highest FROM /* iobox_schema */COR_OUTBOX_ENTRY /* readpast */
