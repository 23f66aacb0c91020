-- agent:outbox_settle_flags
-- Locks the rows of a settle and reads their flags; what is gone, or locked by somebody else, is not answered and not
-- waited for. In the order of their ids, so that two updaters cannot block each other for ever. Words in braces are the
-- site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: first part of the one transaction of a settle, READ COMMITTED; these rows FOR NO KEY UPDATE until it ends.
SELECT {c_id}::bigint AS entry_id, {c_was_processed}::text AS was_processed
FROM {outbox_entry}
WHERE {c_id} = ANY ($1::bigint[])
ORDER BY {c_id}
FOR NO KEY UPDATE SKIP LOCKED
