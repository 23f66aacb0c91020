-- journal:message_counts
-- Figures of a connection point for the status table.
SELECT (SELECT count(*) FROM message WHERE point_id = ?1 AND state = 0 AND settled = 0 AND held_by IS NOT NULL),
       (SELECT count(*) FROM message WHERE point_id = ?1 AND state = 3),
       (SELECT count(*) FROM message WHERE point_id = ?1 AND in_doubt = 1 AND state IN (0, 1, 3))
