-- agent:batch_fill
-- Puts a document into the session's own table, for the queries to join.
-- Parameters: @P1 document_no, @P2 document_id, @P3 accounting_entity, @P4 document_location, @P5 action_code, @P6
-- variation_id.
-- Locks: the session's own temporary table.
INSERT INTO #bodrelay_batch (document_no, document_id, accounting_entity, document_location, action_code, variation_id)
VALUES (@P1, @P2, @P3, @P4, @P5, @P6)
