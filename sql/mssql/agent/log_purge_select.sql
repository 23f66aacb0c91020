-- agent:log_purge_select
-- Puts into #bodrelay_key the settled rows that finished before a time: neither open ones nor unresolved
-- failures. A row is seen before it finishes, so the index of the states bounds the search.
-- Parameters: @P1 connection point, @P2 before, @P3 limit.
-- Locks: part of the one transaction of a purge; UPDLOCK on what it finds; READPAST: what another session keeps locked
-- is left out.
INSERT INTO #bodrelay_key (message_key)
SELECT TOP (@P3) message_key
FROM [bodrelay].bodrelay_message_log WITH (READCOMMITTEDLOCK, READPAST, UPDLOCK, ROWLOCK)
WHERE connection_point = @P1
    AND state IN ('accepted', 'discarded', 'withdrawn', 'superseded', 'stored', 'duplicate', 'refused')
    AND seen_at < CAST(@P2 AS datetime2(3)) AND finished_at < CAST(@P2 AS datetime2(3))
