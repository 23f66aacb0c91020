-- journal:parked_wake_listed
-- Rows that nobody listed, of types that are listed now, are judged again (parked_wake).
UPDATE parked INDEXED BY parked_reason SET reason = 'woken', document_type = ''
 WHERE point_id = ?1 AND reason = 'unlisted' AND document_type IN (SELECT value FROM json_each(?2))
