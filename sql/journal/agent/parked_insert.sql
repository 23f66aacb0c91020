-- journal:parked_insert
-- A row waits for somebody; when it was parked before, its first seen time stays.
INSERT INTO parked (point_id, entry_id, reason, document_type, lane, holds, header_count, first_seen)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    ON CONFLICT (point_id, entry_id) DO UPDATE
   SET reason = excluded.reason, document_type = excluded.document_type, lane = excluded.lane,
       holds = excluded.holds, header_count = excluded.header_count
