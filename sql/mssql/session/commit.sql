-- session:commit
-- Ends the one transaction of an operation.
COMMIT TRANSACTION;
