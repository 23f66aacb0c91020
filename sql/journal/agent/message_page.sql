-- journal:message_page
-- A page (?4) of the messages of connection points (?1, a JSON array) in given states (?2, a JSON array) above a
-- number (?3): of each row, the newest message only, and each that was to send it once more. The plus sign has SQLite begin
-- at that number, not sort them all.
SELECT m.message FROM message AS m
 WHERE m.message > ?3
   AND +m.point_id IN (SELECT value FROM json_each(?1)) AND m.state IN (SELECT value FROM json_each(?2))
   AND (NOT EXISTS (SELECT 1 FROM message AS later
                     WHERE later.point_id = m.point_id AND later.entry_id = m.entry_id AND later.message > m.message)
        OR m.facts ->> '$.resend_of' IS NOT NULL)
 ORDER BY m.message LIMIT ?4
