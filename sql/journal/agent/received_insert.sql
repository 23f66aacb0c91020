-- journal:received_insert
-- A message was received and committed to the inbox.
INSERT OR IGNORE INTO received (point_id, receipt_key, message_id, received_at)
VALUES (?1, ?2, ?3, ?4)
