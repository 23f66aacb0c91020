-- agent:query_checked
-- That a query was tried without documents, and why it is refused; no reason: it is not.
-- Parameters: ?1 connection point, ?2 verb, ?3 noun, ?4 part, ?5 refused_reason.
-- Locks: one BEGIN IMMEDIATE transaction.
UPDATE bodrelay_document_query
SET checked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), refused_reason = substr(?5, 1, 1000)
WHERE connection_point = ?1 AND verb = ?2 AND noun = ?3 AND part_no = ?4
