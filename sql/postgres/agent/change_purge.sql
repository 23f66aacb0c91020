-- agent:change_purge
-- Deletes composed changes whose time has passed: of the oldest ones only, so that no call walks over all that is
-- kept.
-- Parameters: $1 connection point, $2 processed before, $3 how many of the oldest are looked at.
-- Locks: one transaction, READ COMMITTED; the rows that it deletes.
DELETE FROM bodrelay_change
WHERE change_id IN (
    SELECT oldest.change_id
    FROM (
        SELECT change_id, connection_point, processed_at FROM bodrelay_change
        WHERE was_processed = 1 ORDER BY change_id LIMIT $3::bigint) AS oldest
    WHERE oldest.connection_point = $1::text AND oldest.processed_at < $2::timestamptz)
