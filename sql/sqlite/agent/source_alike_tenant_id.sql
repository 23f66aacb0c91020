-- agent:source_alike_tenant_id
-- Whether C_TENANT_ID takes two texts for equal.
-- Parameters: ?1 and ?2 the texts, ?3 the collation of the column.
-- Locks: none; no row is read.
SELECT CASE upper(?3)
    WHEN 'NOCASE' THEN ?1 = ?2 COLLATE NOCASE
    WHEN 'RTRIM' THEN ?1 = ?2 COLLATE RTRIM
    WHEN 'BINARY' THEN ?1 = ?2 COLLATE BINARY
    ELSE 1
END AS is_alike
