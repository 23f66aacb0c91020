-- journal:alert_write
-- A finding (?1) was told (?2).
INSERT INTO alert (finding, told) VALUES (?1, ?2) ON CONFLICT (finding) DO UPDATE SET told = excluded.told
