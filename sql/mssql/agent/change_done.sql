-- agent:change_done
-- Marks changes as composed: those that were read, and no other. Fewer than were asked for: somebody else had one
-- of them, and nothing of the transaction holds.
-- Parameters: @P1 C_ID of the entry that they became, @P2 number of the document in the batch; the ids are in
-- #bodrelay_id with this number.
-- Locks: part of the one transaction that writes composed documents; the rows that it writes.
UPDATE [bodrelay].bodrelay_change
SET was_processed = 1, entry_id = @P1, processed_at = SYSUTCDATETIME(), refused_reason = NULL
WHERE change_id IN (SELECT change_id FROM #bodrelay_change_mark WHERE document_no = @P2) AND was_processed = 0
