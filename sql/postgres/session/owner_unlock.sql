-- session:owner_unlock
-- Lets go of the lock of owner_lock.
-- Parameters: $1 what is no longer owned. Answers whether this session had it.
SELECT pg_advisory_unlock(hashtextextended($1::text, 0))
