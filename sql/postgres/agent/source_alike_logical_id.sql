-- agent:source_alike_logical_id
-- Whether C_LOGICAL_ID takes two texts for equal, by its own collation.
-- Parameters: $1 and $2 the texts.
-- Locks: none; no row is read.
SELECT w.source = $2::text AS is_alike
FROM (SELECT {c_logical_id}::text AS source FROM {outbox_entry} WHERE FALSE UNION ALL SELECT $1::text) AS w
