-- agent:report_document_refused
-- Why a document type is refused; NULL: it is not.
-- Parameters: ?1 connection point, ?2 verb, ?3 noun, ?4 refused_reason, ?5 direction.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a report.
UPDATE bodrelay_document
SET refused_reason = substr(?4, 1, 1000)
WHERE connection_point = ?1 AND direction = ?5 AND verb = ?2 AND noun = ?3
