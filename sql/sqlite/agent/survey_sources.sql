-- agent:survey_sources
-- How many connection points take rows of an I/O Box, and how many compose: where all compose, no I/O Box is
-- needed.
-- Parameters: none.
-- Locks: reads only.
SELECT
    coalesce(sum(CASE WHEN source_kind = 'rows' THEN 0 ELSE 1 END), 0) AS from_iobox,
    coalesce(sum(CASE WHEN source_kind = 'rows' THEN 1 ELSE 0 END), 0) AS from_rows
FROM bodrelay_connection_point
