-- agent:variation_write
-- Raises the last version of a document. No row written: somebody else raised it as far, and nothing of the
-- transaction holds.
-- Parameters: @P1 document key, @P2 connection point, @P3 variation, @P4 C_ID.
-- Locks: part of the one transaction that writes composed documents; the rows that it writes.
UPDATE [bodrelay].bodrelay_variation
SET connection_point = @P2, last_variation = @P3, last_entry_id = @P4, changed_at = SYSUTCDATETIME()
WHERE document_key = @P1 AND last_variation < @P3;
INSERT INTO [bodrelay].bodrelay_variation (document_key, connection_point, last_variation, last_entry_id, changed_at)
SELECT @P1, @P2, @P3, @P4, SYSUTCDATETIME()
WHERE NOT EXISTS (SELECT 1 FROM [bodrelay].bodrelay_variation WHERE document_key = @P1)
