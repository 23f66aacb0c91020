-- session:outbox_locked
-- Of the rows in #bodrelay_id, those that are in the table, whoever has them locked: what a settle could not lock, and
-- finds here, is locked by somebody else.
-- Locks: none (READUNCOMMITTED); part of the one transaction of a settle.
SELECT CAST(e.C_ID AS bigint) AS C_ID
FROM /* iobox_schema */COR_OUTBOX_ENTRY AS e WITH (READUNCOMMITTED)
WHERE e.C_ID IN (SELECT entry_id FROM #bodrelay_id);
