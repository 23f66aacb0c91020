-- agent:outbox_highest
-- The highest id of the whole table, and the transactions of the server: those with a lower number than the second column
-- have ended, those that begin later have the number in the third or a higher one. Words in braces are the site's tables
-- and columns, filled in from the catalogue.
-- Parameters: none.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with the scan.
SELECT coalesce(max({c_id}), 0)::bigint AS highest, txid_snapshot_xmin(txid_current_snapshot()) AS ended,
    txid_snapshot_xmax(txid_current_snapshot()) AS next
FROM {outbox_entry}
