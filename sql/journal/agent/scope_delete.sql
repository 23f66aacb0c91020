-- journal:scope_delete
-- A scope is well.
DELETE FROM scope WHERE scope = ?1
