-- journal:message_forget
-- Settled messages of a page (above ?2, up to ?3) other than failed ones fall under the message log's retention.
DELETE FROM message
 WHERE point_id = ?1 AND entry_id > ?2 AND entry_id <= ?3 AND settled = 1 AND state > 3 AND finished_at < ?4
