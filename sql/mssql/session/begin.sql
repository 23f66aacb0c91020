-- session:begin
-- Opens the one transaction of an operation.
BEGIN TRANSACTION;
