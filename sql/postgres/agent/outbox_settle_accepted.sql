-- agent:outbox_settle_accepted
-- Flags accepted rows, 0 or 9 to 1. IS TRUE keeps an index of the flag out: over one like Infor's, all that waits
-- would be walked. Words in braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: part of the one transaction of a settle, READ COMMITTED; the rows are locked by outbox_settle_flags
-- before.
UPDATE {outbox_entry}
SET {c_was_processed} = '1'
WHERE {c_id} = ANY ($1::bigint[]) AND ({c_was_processed} IN ('0', '9')) IS TRUE
