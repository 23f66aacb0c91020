-- agent:change_purge
-- Deletes composed changes whose time has passed: of the oldest ones only, so that no call walks over all that is
-- kept.
-- Parameters: @P1 connection point, @P2 processed before, @P3 how many of the oldest are looked at.
-- Locks: one transaction; the rows that it deletes; READPAST: what another session keeps locked is left out.
DELETE FROM [bodrelay].bodrelay_change WITH (READCOMMITTEDLOCK, READPAST)
WHERE change_id IN (
    SELECT oldest.change_id
    FROM (
        SELECT TOP (@P3) change_id, connection_point, processed_at
        FROM [bodrelay].bodrelay_change WITH (READCOMMITTEDLOCK, READPAST)
        WHERE was_processed = 1 ORDER BY change_id) AS oldest
    WHERE oldest.connection_point = @P1 AND oldest.processed_at < CONVERT(datetime2(3), @P2))
