-- journal:message_newest
-- Whether the newest message of a row is done with (1) or still open (0).
SELECT settled FROM message WHERE point_id = ?1 AND entry_id = ?2 ORDER BY message DESC LIMIT 1
