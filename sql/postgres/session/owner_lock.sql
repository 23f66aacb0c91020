-- session:owner_lock
-- Backs an owner's claim with a lock of this session, so that a living copy of his journal does not send beside him. Not
-- waited for; gone with the session.
-- Parameters: $1 what is owned. Answers whether it was granted, and the number of this session.
SELECT pg_try_advisory_lock(hashtextextended($1::text, 0)), pg_backend_pid()::bigint
