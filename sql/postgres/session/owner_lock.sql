-- session:owner_lock
-- Backs an owner's claim with a lock of this session: an owner whose session lives keeps what is his even when his
-- heartbeat is late, and a copy of his journal cannot send beside him. Not waited for; gone with the session.
-- Parameters: $1 what is owned. Answers whether it was granted.
SELECT pg_try_advisory_lock(hashtextextended($1::text, 0))
