-- agent:outbox_purge
-- Deletes processed rows whose time has passed (outbox_keep_hours), after their headers.
-- Parameters: none; the ids are in #bodrelay_id.
-- Locks: one transaction; these rows, locked by outbox_purge_select.
DELETE FROM /* iobox_schema */COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT entry_id FROM #bodrelay_id)
