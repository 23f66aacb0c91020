-- agent:control_read_documents
-- The document types of every connection point.
-- Parameters: none.
-- Locks: reads only, READ COMMITTED; a DBA who is in the middle of a change is waited for.
SELECT
    connection_point, direction, verb, noun, enabled, namespace, order_by, document_id_path, after_failure,
    max_document_bytes, duplicate_key, older_variation, refused_reason
FROM [bodrelay].bodrelay_document
ORDER BY connection_point, direction, verb, noun
