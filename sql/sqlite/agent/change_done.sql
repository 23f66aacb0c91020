-- agent:change_done
-- Marks changes as composed: those that were read, and no other. Fewer than were asked for: somebody else had one
-- of them, and nothing of the transaction holds.
-- Parameters: ?1 C_ID of the entry that they became, ?2 ids as a JSON array.
-- Locks: part of the one BEGIN IMMEDIATE transaction that writes composed documents.
UPDATE bodrelay_change
SET was_processed = 1, entry_id = ?1, processed_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), refused_reason = NULL
WHERE change_id IN (SELECT value FROM json_each(?2)) AND was_processed = 0
