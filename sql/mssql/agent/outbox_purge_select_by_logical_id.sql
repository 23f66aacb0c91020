-- agent:outbox_purge_select_by_logical_id
-- Leaves in #bodrelay_id the rows that may be deleted: flag 1, and still the connection point's own. For connection
-- points that choose by logical id: the box has C_LOGICAL_ID (3.0). Compared exactly, whatever the collation of the
-- column; only trailing blanks do not count.
-- Parameters: @P1 tenant, @P2 1: chosen by tenant, @P3 logical id; the ids are in #bodrelay_id.
-- Locks: the one transaction of a purge; UPDLOCK on at most 500 rows; READPAST: what another session keeps
-- locked is left out.
DELETE FROM #bodrelay_id
WHERE NOT EXISTS (
    SELECT 1
    FROM /* iobox_schema */COR_OUTBOX_ENTRY AS e WITH (READCOMMITTEDLOCK, READPAST, UPDLOCK, ROWLOCK)
    WHERE e.C_ID = #bodrelay_id.entry_id AND e.C_WAS_PROCESSED = 1
        AND e.C_LOGICAL_ID COLLATE Latin1_General_BIN2 = @P3
        AND (@P2 = 0 OR e.C_TENANT_ID COLLATE Latin1_General_BIN2 = @P1))
