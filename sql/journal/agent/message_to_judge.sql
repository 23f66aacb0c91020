-- journal:message_to_judge
-- Of these rows (a JSON array), those that are to be read and judged: not parked, and without a message that is open.
SELECT row.value FROM json_each(?2) AS row
 WHERE NOT EXISTS (SELECT 1 FROM parked WHERE point_id = ?1 AND entry_id = row.value)
   AND coalesce((SELECT settled FROM message
                  WHERE point_id = ?1 AND entry_id = row.value ORDER BY message DESC LIMIT 1), 1) = 1
