-- agent:batch_fill
-- Puts a document into the session's own table, for the queries to join.
-- Parameters: ?1 document_no, ?2 document_id, ?3 accounting_entity, ?4 document_location, ?5 action_code, ?6
-- variation_id.
-- Locks: the session's own temporary table.
INSERT INTO temp.bodrelay_batch (document_no, document_id, accounting_entity, document_location, action_code, variation_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6)
