-- journal:delivered_identities
-- What was accepted of a row.
SELECT identity, given_id_hash FROM delivered WHERE point_id = ?1 AND entry_id = ?2
