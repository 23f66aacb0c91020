-- agent:outbox_purge_select
-- Of these rows, those that may be deleted: flag 1, and still the connection point's own. For connection points that
-- do not choose by logical id, and so for 1.0 boxes, which have no C_LOGICAL_ID.
-- Parameters: ?1 ids as a JSON array, ?2 tenant (NULL: any).
-- Locks: one BEGIN IMMEDIATE transaction with outbox_purge.
SELECT C_ID
FROM COR_OUTBOX_ENTRY
WHERE C_ID IN (SELECT value FROM json_each(?1)) AND likelihood(C_WAS_PROCESSED = 1, 0.9)
    AND (?2 IS NULL OR C_TENANT_ID = ?2)
ORDER BY C_ID
