-- session:begin_queries
-- Opens the transaction in which DBAs' queries read one state of the data; it is always rolled back, so that nothing that a
-- query might have written stays. Where the database allows no SNAPSHOT: what was read stays locked against changes until
-- the end, and rows that come meanwhile have changes of their own.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
BEGIN TRANSACTION;
