-- agent:source_alike_logical_id
-- Whether a scan takes two texts in C_LOGICAL_ID for equal: it compares exactly, but for trailing blanks.
-- Parameters: @P1 and @P2 the texts.
-- Locks: none; no row is read.
SELECT CAST(CASE WHEN @P1 COLLATE Latin1_General_BIN2 = @P2 THEN 1 ELSE 0 END AS int) AS is_alike
