-- agent:outbox_present
-- Of these rows, those that are in the table. Words in braces are the site's tables and columns, filled in from the
-- catalogue.
-- Parameters: $1 ids.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction.
SELECT {c_id}::bigint AS entry_id
FROM {outbox_entry}
WHERE {c_id} = ANY ($1::bigint[])
ORDER BY {c_id}
