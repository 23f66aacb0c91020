-- agent:log_purge_select
-- Settled rows that finished before a time: neither open ones nor unresolved failures. A row is seen before it
-- finishes, so the index of the states bounds the search.
-- Parameters: $1 connection point, $2 before, $3 limit.
-- Locks: part of one transaction, READ COMMITTED of a purge; FOR UPDATE on what it finds; what another session keeps
-- locked is left out.
SELECT message_key
FROM bodrelay_message_log
WHERE connection_point = $1::text
    AND state IN ('accepted', 'discarded', 'withdrawn', 'superseded', 'stored', 'duplicate', 'refused')
    AND seen_at < $2::timestamptz AND finished_at < $2::timestamptz
LIMIT $3::bigint
FOR UPDATE SKIP LOCKED
