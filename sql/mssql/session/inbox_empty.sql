-- session:inbox_empty
-- Empties the tables of inbox_tables.sql, before any transaction: what an earlier operation left must not be used.
DELETE FROM #bodrelay_mark;
DELETE FROM #bodrelay_header;
DELETE FROM #bodrelay_receipt;
DELETE FROM #bodrelay_received_document;
