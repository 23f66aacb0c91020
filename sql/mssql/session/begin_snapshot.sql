-- session:begin_snapshot
-- Opens the transaction in which DBAs' queries read one state of the data, where the database allows SNAPSHOT: nobody is
-- waited for, and nobody waits. It is always rolled back, so that nothing that a query might have written stays.
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
BEGIN TRANSACTION;
