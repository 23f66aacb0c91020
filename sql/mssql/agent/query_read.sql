-- agent:query_read
-- The queries of a connection point.
-- Parameters: @P1 connection point.
-- Locks: reads only; short, READ COMMITTED.
SELECT
    verb, noun, part_no, parent_part_no, element_path, split_batch, query_text, timeout_seconds, max_rows, enabled,
    refused_reason
FROM [bodrelay].bodrelay_document_query
WHERE connection_point = @P1
ORDER BY noun, verb, part_no
