-- agent:report_document_accepted
-- Whether ION's list names a document type; NULL: unknown.
-- Parameters: ?1 connection point, ?2 verb, ?3 noun, ?4 accepted_by_ion.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_document
SET accepted_by_ion = ?4, accepted_checked_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
WHERE connection_point = ?1 AND direction = 'out' AND verb = ?2 AND noun = ?3
