-- journal:point_of_database
-- The connection points of a database.
SELECT point_id FROM connection_point WHERE database_id = ?1
