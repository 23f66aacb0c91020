-- agent:report_document_refused
-- Why a document type is refused.
-- Parameters: @P1 connection point, @P2 verb, @P3 noun, @P4 refused_reason (empty: it is not), @P5 direction.
-- Locks: part of the one transaction of a report.
UPDATE [bodrelay].bodrelay_document
SET refused_reason = NULLIF(LEFT(@P4, 1000), N'')
WHERE connection_point = @P1 AND direction = @P5 AND verb = @P2 AND noun = @P3
