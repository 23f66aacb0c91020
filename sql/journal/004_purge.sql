-- journal:004_purge
-- Which processed rows of the outbox were deleted (outbox_keep_hours).
-- Accepted rows up to this C_ID are deleted, but for those in purge_late.
ALTER TABLE connection_point ADD COLUMN purged_up_to INTEGER NOT NULL DEFAULT 0;

-- Rows that were accepted when rows above them were deleted already.
CREATE TABLE purge_late (
    point_id    INTEGER NOT NULL,
    entry_id    INTEGER NOT NULL,
    settled_at  INTEGER NOT NULL,
    PRIMARY KEY (point_id, entry_id)
) WITHOUT ROWID;
