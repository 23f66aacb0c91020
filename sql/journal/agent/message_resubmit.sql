-- journal:message_resubmit
-- The same row is sent again under the same key and id.
UPDATE message
   SET state = ?2, settled = 0, late = ?3, held_by = ?4, holds = ?5, logged = 0, lane = ?6, document_type = ?7,
       priority = ?8, facts = ?9, finished_at = NULL, failure_code = NULL, failure_text = NULL, remedy = NULL,
       http_status = NULL, answer_class = NULL
 WHERE message = ?1
