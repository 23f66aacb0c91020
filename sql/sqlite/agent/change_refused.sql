-- agent:change_refused
-- Marks a change as refused, with the reason.
-- Parameters: ?1 id, ?2 reason.
-- Locks: part of the one BEGIN IMMEDIATE transaction that writes composed documents.
UPDATE bodrelay_change
SET was_processed = 9, processed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), refused_reason = substr(?2, 1, 1000)
WHERE change_id = ?1 AND was_processed = 0
