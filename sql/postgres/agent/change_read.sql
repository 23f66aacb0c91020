-- agent:change_read
-- Changes that wait, lowest id first, above an id: the tour begins again at 0, since a transaction that began
-- early may commit late.
-- Parameters: $1 connection point, $2 above this id, $3 limit.
-- Locks: reads only; one READ ONLY transaction.
SELECT change_id, verb, noun, document_id, accounting_entity, document_location, action_code, priority
FROM bodrelay_change
WHERE was_processed = 0 AND change_id > $2::bigint AND connection_point = $1::text
ORDER BY change_id
LIMIT $3::bigint
