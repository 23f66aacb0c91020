-- agent:report_document_accepted
-- Whether ION's list names a document type.
-- Parameters: @P1 connection point, @P2 verb, @P3 noun, @P4 accepted_by_ion (-1: unknown).
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_document
SET accepted_by_ion = NULLIF(@P4, -1), accepted_checked_at = SYSUTCDATETIME()
WHERE connection_point = @P1 AND direction = 'out' AND verb = @P2 AND noun = @P3
