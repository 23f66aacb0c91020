-- journal:parked_wake_enabled
-- Rows of types that were disabled and are so no longer are judged again (parked_wake).
UPDATE parked INDEXED BY parked_reason SET reason = 'woken', document_type = ''
 WHERE point_id = ?1 AND reason = 'disabled' AND document_type NOT IN (SELECT value FROM json_each(?2))
