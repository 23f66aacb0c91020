-- agent:query_read
-- The queries of a connection point.
-- Parameters: ?1 connection point.
-- Locks: reads only.
SELECT
    verb, noun, part_no, parent_part_no, element_path, split_batch, query_text, timeout_seconds, max_rows, enabled,
    refused_reason
FROM bodrelay_document_query
WHERE connection_point = ?1
ORDER BY noun, verb, part_no
