-- journal:database_read
-- A database by the name that the configuration file gives it.
SELECT database_id, fingerprint, epoch, in_doubt_before, raising, alive_at, stopped, place
  FROM site_database WHERE name = ?1
