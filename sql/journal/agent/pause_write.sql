-- journal:pause_write
-- A DBA pauses a connection point; the newest pause is the one that holds.
INSERT OR REPLACE INTO pause (point_id, since, until_at, reason) VALUES (?1, ?2, ?3, ?4)
