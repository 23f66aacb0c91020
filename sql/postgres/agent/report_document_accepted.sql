-- agent:report_document_accepted
-- Whether ION's list names a document type; NULL: unknown.
-- Parameters: $1 connection point, $2 verb, $3 noun, $4 accepted_by_ion.
-- Locks: part of the one transaction, READ COMMITTED of a report; the rows that it writes.
UPDATE bodrelay_document
SET accepted_by_ion = $4::smallint, accepted_checked_at = now()
WHERE connection_point = $1::text AND direction = 'out' AND verb = $2::text AND noun = $3::text
