-- agent:query_checked
-- That a query was tried without documents, and why it is refused; no reason: it is not.
-- Parameters: $1 connection point, $2 verb, $3 noun, $4 part, $5 refused_reason.
-- Locks: one transaction, READ COMMITTED; the rows that it writes.
UPDATE bodrelay_document_query
SET checked_at = now(), refused_reason = substr($5::text, 1, 1000)
WHERE connection_point = $1::text AND verb = $2::text AND noun = $3::text AND part_no = $4::bigint
