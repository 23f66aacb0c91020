-- agent:change_purge
-- Deletes composed changes whose time has passed: of the oldest ones only, so that no call walks over all that is
-- kept.
-- Parameters: $1 connection point, $2 processed before, $3 how many of the oldest are looked at.
-- Locks: one transaction, READ COMMITTED; the rows that it deletes; what another session keeps locked is left out. The
-- array makes sure that the rows are looked for once.
DELETE FROM bodrelay_change
WHERE change_id = ANY (ARRAY(
    SELECT change.change_id
    FROM bodrelay_change AS change
    JOIN (
        SELECT change_id FROM bodrelay_change
        WHERE was_processed = 1 ORDER BY change_id LIMIT $3::bigint) AS oldest USING (change_id)
    WHERE change.was_processed = 1 AND change.connection_point = $1::text AND change.processed_at < $2::timestamptz
    FOR UPDATE OF change SKIP LOCKED))
