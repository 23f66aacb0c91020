-- agent:variation_read
-- The last version of documents, and whether it is still open: its entry has flag 0. Words in braces are the
-- site's tables and columns, filled in from the catalogue.
-- Parameters: $1 document keys.
-- Locks: reads only; one READ ONLY transaction.
SELECT
    v.document_key, v.last_variation,
    CASE WHEN EXISTS (
        SELECT 1 FROM {outbox_entry} AS e
        WHERE e.{c_id} = v.last_entry_id AND e.{c_was_processed} = '0') THEN 1 ELSE 0 END AS is_open
FROM bodrelay_variation AS v
WHERE v.document_key = ANY ($1::text[])
