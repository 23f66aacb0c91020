-- agent:survey_sources
-- How many connection points take rows of an I/O Box, and how many compose: where all compose, no I/O Box is
-- needed.
-- Parameters: none.
-- Locks: reads only.
SELECT
    CAST(coalesce(sum(CASE WHEN source_kind = 'rows' THEN 0 ELSE 1 END), 0) AS bigint) AS from_iobox,
    CAST(coalesce(sum(CASE WHEN source_kind = 'rows' THEN 1 ELSE 0 END), 0) AS bigint) AS from_rows
FROM bodrelay_connection_point
