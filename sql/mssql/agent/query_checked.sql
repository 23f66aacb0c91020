-- agent:query_checked
-- That a query was tried without documents, and why it is refused; no reason: it is not.
-- Parameters: @P1 connection point, @P2 verb, @P3 noun, @P4 part, @P5 refused_reason (empty: it is not).
-- Locks: one transaction; the rows that it writes.
UPDATE [bodrelay].bodrelay_document_query
SET checked_at = SYSUTCDATETIME(), refused_reason = NULLIF(LEFT(@P5, 1000), N'')
WHERE connection_point = @P1 AND verb = @P2 AND noun = @P3 AND part_no = @P4
