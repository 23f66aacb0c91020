-- agent:report_document_refused
-- Why a document type is refused; NULL: it is not.
-- Parameters: $1 connection point, $2 verb, $3 noun, $4 refused_reason, $5 direction.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_document
SET refused_reason = substr($4::text, 1, 1000)
WHERE connection_point = $1::text AND direction = $5::text AND verb = $2::text AND noun = $3::text
