-- journal:parked_suspended
-- The document types with rows that are parked because their type is suspended.
WITH RECURSIVE types (document_type) AS (
    SELECT min(document_type) FROM parked INDEXED BY parked_reason WHERE point_id = ?1 AND reason = 'suspended'
    UNION ALL
    SELECT (SELECT min(document_type) FROM parked INDEXED BY parked_reason
             WHERE point_id = ?1 AND reason = 'suspended' AND parked.document_type > types.document_type)
      FROM types WHERE document_type IS NOT NULL)
SELECT document_type FROM types WHERE document_type IS NOT NULL
