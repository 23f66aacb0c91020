-- journal:message_counts
-- Figures of a connection point for the status table, each from its index alone: only what waits is held.
SELECT (SELECT count(*) FROM message WHERE point_id = ?1 AND held_by IS NOT NULL),
       (SELECT count(*) FROM message WHERE point_id = ?1 AND state = 3),
       (SELECT count(*) FROM message WHERE point_id = ?1 AND in_doubt = 1 AND state IN (0, 1, 3))
