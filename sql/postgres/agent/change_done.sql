-- agent:change_done
-- Marks changes as composed: those that were read, and no other. Fewer than were asked for: somebody else had one
-- of them, and nothing of the transaction holds.
-- Parameters: arrays of one length: $1 ids, $2 C_ID of the entry that each became.
-- Locks: part of the one transaction that writes composed documents, READ COMMITTED; the rows that it writes.
UPDATE bodrelay_change AS c
SET was_processed = 1, entry_id = r.entry_id, processed_at = now(), refused_reason = NULL
FROM unnest($1::bigint[], $2::bigint[]) AS r (change_id, entry_id)
WHERE c.change_id = r.change_id AND c.was_processed = 0
