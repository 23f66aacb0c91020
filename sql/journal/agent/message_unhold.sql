-- journal:message_unhold
-- Failed messages of a type no longer keep their lanes waiting.
UPDATE message SET holds = 0 WHERE point_id = ?1 AND holds = 1 AND document_type = ?2
