-- journal:parked_gone
-- Parked rows (a JSON array) that are gone from the outbox, or no longer 0.
DELETE FROM parked WHERE point_id = ?1 AND entry_id IN (SELECT value FROM json_each(?2))
