-- agent:control_read_documents
-- The document types of every connection point.
-- Parameters: none.
-- Locks: reads only; in one read transaction with the other control_read statements.
SELECT
    connection_point, direction, verb, noun, enabled, namespace, order_by, document_id_path, after_failure,
    max_document_bytes, duplicate_key, older_variation, refused_reason
FROM bodrelay_document
ORDER BY connection_point, direction, verb, noun
