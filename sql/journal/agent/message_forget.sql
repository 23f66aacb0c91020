-- journal:message_forget
-- Settled messages other than failed ones fall under the message log's retention.
DELETE FROM message WHERE message IN (
    SELECT message FROM message
     WHERE point_id = ?1 AND settled = 1 AND state > 3 AND finished_at < ?2 LIMIT ?3)
