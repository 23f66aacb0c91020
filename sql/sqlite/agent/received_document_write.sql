-- agent:received_document_write
-- Remembers the version of a document that was stored; a lower variation than the known one changes nothing, and one
-- without a variation keeps the known one.
-- Parameters: ?1 document_key, ?2 connection point, ?3 noun, ?4 document_id, ?5 variation_id, ?6 digest, ?7 entry_id,
-- ?8 received_at.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
INSERT INTO bodrelay_received_document (
    document_key, connection_point, noun, document_id, variation_id, digest, entry_id, received_at)
VALUES (?1, ?2, substr(?3, 1, 100), substr(?4, 1, 100), ?5, ?6, ?7, ?8)
ON CONFLICT (document_key) DO UPDATE
SET variation_id = coalesce(excluded.variation_id, variation_id), digest = excluded.digest,
    entry_id = excluded.entry_id, received_at = excluded.received_at
WHERE variation_id IS NULL OR excluded.variation_id IS NULL OR excluded.variation_id >= variation_id
