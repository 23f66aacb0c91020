-- session:empty
-- Empties the session's own tables, before any transaction: what an earlier operation left must not be used.
DELETE FROM #bodrelay_id;
DELETE FROM #bodrelay_hole;
DELETE FROM #bodrelay_key;
DELETE FROM #bodrelay_log;
DELETE FROM #bodrelay_attempt;
DELETE FROM #bodrelay_document;
DELETE FROM #bodrelay_change_mark;
