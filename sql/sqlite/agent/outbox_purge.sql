-- agent:outbox_purge
-- Deletes processed rows whose time has passed (outbox_keep_hours), after their headers.
-- Parameters: ?1 ids as a JSON array, as outbox_purge_select gave them.
-- Locks: one BEGIN IMMEDIATE transaction of some milliseconds.
DELETE FROM COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT value FROM json_each(?1))
