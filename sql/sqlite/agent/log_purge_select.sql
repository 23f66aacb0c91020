-- agent:log_purge_select
-- Settled rows that finished before a time: neither open ones nor unresolved failures. A row is seen before it
-- finishes, so the index of the states bounds the search.
-- Parameters: ?1 connection point, ?2 before, ?3 limit.
-- Locks: part of one BEGIN IMMEDIATE transaction of a purge.
SELECT message_key
FROM bodrelay_message_log
WHERE connection_point = ?1
    AND state IN ('accepted', 'discarded', 'withdrawn', 'superseded', 'stored', 'duplicate', 'refused')
    AND seen_at < ?2 AND finished_at < ?2
LIMIT ?3
