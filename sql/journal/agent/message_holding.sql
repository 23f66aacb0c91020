-- journal:message_holding
-- The document types with failed messages that hold their lanes.
SELECT DISTINCT document_type FROM message INDEXED BY message_holds WHERE point_id = ?1 AND holds = 1
