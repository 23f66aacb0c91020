-- session:inbox_lock
-- Lets one session at a time store what a connection point receives: the rules for duplicates and variations read first
-- and write then. Waited for as any lock; gone with the transaction.
-- Parameters: $1 what is stored into.
SELECT pg_advisory_xact_lock(hashtextextended($1::text, 0))
