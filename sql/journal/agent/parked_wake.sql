-- journal:parked_wake
-- Rows parked for a reason, and for a document type where one is given, are judged again. They hold their lanes until that
-- is done, so that no later row of a lane goes before them.
UPDATE parked SET reason = 'woken', document_type = ''
 WHERE point_id = ?1 AND reason = ?2 AND document_type BETWEEN coalesce(?3, '') AND coalesce(?3, char(1114111))
