-- agent:batch_fill
-- Puts documents into the session's own table, for the queries to join.
-- Parameters: arrays of one length: $1 document_no, $2 document_id, $3 accounting_entity, $4 document_location, $5
-- action_code, $6 variation_id.
-- Locks: the session's own temporary table.
INSERT INTO pg_temp.bodrelay_batch (document_no, document_id, accounting_entity, document_location, action_code, variation_id)
SELECT r.document_no, r.document_id, r.accounting_entity, r.document_location, r.action_code, r.variation_id
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[]) AS r (
    document_no, document_id, accounting_entity, document_location, action_code, variation_id)
