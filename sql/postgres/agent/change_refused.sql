-- agent:change_refused
-- Marks changes as refused, each with its reason.
-- Parameters: arrays of one length: $1 ids, $2 reasons.
-- Locks: part of the one transaction that writes composed documents, READ COMMITTED; the rows that it writes.
UPDATE bodrelay_change AS c
SET was_processed = 9, processed_at = now(), refused_reason = substr(r.reason, 1, 1000)
FROM unnest($1::bigint[], $2::text[]) AS r (change_id, reason)
WHERE c.change_id = r.change_id AND c.was_processed = 0
