-- agent:change_refused
-- Marks a change as refused, with the reason.
-- Parameters: @P1 id, @P2 reason.
-- Locks: part of the one transaction that writes composed documents; the rows that it writes.
UPDATE [bodrelay].bodrelay_change
SET was_processed = 9, processed_at = SYSUTCDATETIME(), refused_reason = LEFT(@P2, 1000)
WHERE change_id = @P1 AND was_processed = 0
