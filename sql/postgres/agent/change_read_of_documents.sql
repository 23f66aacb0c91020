-- agent:change_read_of_documents
-- All changes that wait of some documents, so that none of a document is left out when they are folded. By the
-- index of the document ids.
-- Parameters: $1 connection point, $2 document ids, $3 limit.
-- Locks: reads only; one READ ONLY transaction.
SELECT change_id, verb, noun, document_id, accounting_entity, document_location, action_code, priority
FROM bodrelay_change
WHERE was_processed = 0 AND document_id = ANY ($2::text[]) AND connection_point = $1::text
ORDER BY change_id
LIMIT $3::bigint
