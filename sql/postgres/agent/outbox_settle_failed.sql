-- agent:outbox_settle_failed
-- Flags failed rows, 0 to 9. IS TRUE keeps an index of the flag out: over one like Infor's, all that waits would be
-- walked. Words in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: part of the one transaction of a settle, READ COMMITTED; the rows are locked by outbox_settle_flags
-- before.
UPDATE {outbox_entry}
SET {c_was_processed} = '9'
WHERE {c_id} = ANY ($1::bigint[]) AND ({c_was_processed} = '0') IS TRUE
