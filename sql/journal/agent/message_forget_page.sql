-- journal:message_forget_page
-- The last row of the page of messages above a row, and how many are on it: what is looked at in one piece of retention.
SELECT max(entry_id), count(*) FROM (
    SELECT entry_id FROM message WHERE point_id = ?1 AND entry_id > ?2 ORDER BY entry_id LIMIT ?3)
