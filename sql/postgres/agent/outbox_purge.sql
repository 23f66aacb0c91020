-- agent:outbox_purge
-- Deletes processed rows whose time has passed (outbox_keep_hours), after their headers. Words in braces are the site's
-- tables and columns, filled in from the catalogue.
-- Parameters: $1 ids, as outbox_purge_select gave them.
-- Locks: one transaction, READ COMMITTED; these rows, locked by outbox_purge_select.
DELETE FROM {outbox_entry}
WHERE {c_id} = ANY ($1::bigint[])
