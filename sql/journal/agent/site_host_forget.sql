-- journal:site_host_forget
-- Before the agents of a database are written anew.
DELETE FROM site_host WHERE database_id = ?1
