-- agent:receipt_insert
-- Remembers that a message was received. A key that is there is an error: nothing of the store is written then.
-- Parameters: ?1 receipt_key, ?2 connection point, ?3 message_id, ?4 source_part, ?5 from_logical_id,
-- ?6 document_name, ?7 digest, ?8 entry_id, ?9 received_at.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
INSERT INTO bodrelay_receipt (
    receipt_key, connection_point, message_id, source_part, from_logical_id, document_name, digest, entry_id,
    received_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
