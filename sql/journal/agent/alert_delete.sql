-- journal:alert_delete
-- A finding (?1) was told as over.
DELETE FROM alert WHERE finding = ?1
