-- journal:noun_order_write
-- Another order of a noun, where none applied before or nothing of it is open: no failed message that later ones wait for,
-- no parked row that later ones wait for, no message. In this order: the first two may last for weeks, and few of them are
-- read; only where there is none, messages are gone over. INDEXED BY: SQLite cannot know that few rows hold a lane.
INSERT INTO noun_order (point_id, noun, order_by, applies_from)
VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (point_id, noun) DO UPDATE SET order_by = excluded.order_by, applies_from = excluded.applies_from
 WHERE NOT EXISTS (SELECT 1 FROM message INDEXED BY message_holds
                    WHERE point_id = ?1 AND holds = 1
                      AND substr(document_type, instr(document_type, '.') + 1) = ?2)
   AND NOT EXISTS (SELECT 1 FROM parked INDEXED BY parked_lane
                    WHERE point_id = ?1 AND holds = 1
                      AND substr(document_type, instr(document_type, '.') + 1) = ?2)
   AND NOT EXISTS (SELECT 1 FROM message INDEXED BY message_entry
                    WHERE point_id = ?1 AND settled = 0
                      AND substr(document_type, instr(document_type, '.') + 1) = ?2)
