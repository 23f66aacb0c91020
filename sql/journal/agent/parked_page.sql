-- journal:parked_page
-- Rows parked for a reason, and for a document type where one is given, lowest first. INDEXED BY: SQLite cannot know that
-- few rows are parked for a reason, and would go over all that are parked.
SELECT entry_id, first_seen, header_count FROM parked INDEXED BY parked_reason
 WHERE point_id = ?1 AND reason = ?2 AND document_type BETWEEN coalesce(?3, '') AND coalesce(?3, char(1114111))
 ORDER BY entry_id LIMIT ?4
