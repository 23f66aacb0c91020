-- journal:noun_order_read
-- What orders the documents of each noun.
SELECT noun, order_by, applies_from FROM noun_order WHERE point_id = ?1
