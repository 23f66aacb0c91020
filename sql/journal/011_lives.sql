-- journal:011_lives
-- A restored database, or a table that was emptied, gives the same C_IDs again: what was accepted under them is of an
-- earlier life, and new rows are not late for it. Rows that were seen before it ended (former_at) still are.
ALTER TABLE lane_tail ADD COLUMN former_entry_id INTEGER NOT NULL DEFAULT 0;
ALTER TABLE lane_tail ADD COLUMN former_at INTEGER NOT NULL DEFAULT 0;
