-- agent:outbox_reset
-- Sets failed rows to 0 again, as a DBA would to send them once more; answers with the ids that it changed. IS TRUE
-- keeps an index of the flag out: over one like Infor's, all that waits would be walked. The rows are locked in the
-- order of their ids, so that two updaters cannot block each other for ever; those that somebody else has locked are
-- left out. Words in braces are the site's tables
-- and columns, filled in from the catalogue.
-- Parameters: $1 ids.
-- Locks: one transaction, READ COMMITTED; these rows FOR NO KEY UPDATE until it ends.
WITH locked AS (
    SELECT {c_id} AS entry_id
    FROM {outbox_entry}
    WHERE {c_id} = ANY ($1::bigint[])
    ORDER BY {c_id}
    FOR NO KEY UPDATE SKIP LOCKED)
UPDATE {outbox_entry}
SET {c_was_processed} = '0'
FROM locked
WHERE {c_id} = locked.entry_id AND ({c_was_processed} = '9') IS TRUE
RETURNING {c_id}::bigint AS entry_id
