-- agent:variation_write
-- Raises the last version of a document. No row written: somebody else raised it as far, and nothing of the
-- transaction holds.
-- Parameters: ?1 document key, ?2 connection point, ?3 variation, ?4 C_ID.
-- Locks: part of the one BEGIN IMMEDIATE transaction that writes composed documents.
INSERT INTO bodrelay_variation (document_key, connection_point, last_variation, last_entry_id, changed_at)
VALUES (?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
ON CONFLICT (document_key) DO UPDATE
SET
    connection_point = excluded.connection_point, last_variation = excluded.last_variation,
    last_entry_id = excluded.last_entry_id, changed_at = excluded.changed_at
WHERE bodrelay_variation.last_variation < excluded.last_variation
