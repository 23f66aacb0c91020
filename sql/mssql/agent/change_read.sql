-- agent:change_read
-- Changes that wait, lowest id first, above an id: the tour begins again at 0, since a transaction that began
-- early may commit late.
-- Parameters: @P1 connection point, @P2 above this id, @P3 limit.
-- Locks: reads only, READ COMMITTED; a change that an open business transaction has locked is passed over and
-- found later (READPAST where there is no READ_COMMITTED_SNAPSHOT).
SELECT TOP (@P3) change_id, verb, noun, document_id, accounting_entity, document_location, action_code, priority
FROM [bodrelay].bodrelay_change /* readpast */
WHERE was_processed = 0 AND change_id > @P2 AND connection_point = @P1
ORDER BY change_id
