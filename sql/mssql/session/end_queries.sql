-- session:end_queries
-- Ends the transaction of DBAs' queries: nothing in it was meant to stay.
IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
