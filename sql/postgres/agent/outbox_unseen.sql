-- agent:outbox_unseen
-- Among the newest ids, rows that no scan sees and that are not done either: C_WAS_PROCESSED is none of 0, 1 and 9. Words
-- in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 how many ids, $2 how many rows at most.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT {c_id}::bigint AS entry_id, {c_was_processed}::text AS was_processed
FROM {outbox_entry}
WHERE {c_id} > (SELECT max({c_id}) FROM {outbox_entry}) - $1::bigint
    AND ({c_was_processed} IS NULL OR {c_was_processed}::text NOT IN ('0', '1', '9'))
ORDER BY {c_id}
LIMIT $2::bigint
