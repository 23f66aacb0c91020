-- agent:outbox_gaps
-- Where a range of ids has no row, whatever its flag and whosever it is; the highest ones, where there are many. Words in
-- braces are the site's tables and columns, filled in from the catalogue.
-- Parameters: $1 after, $2 up to (there is a row), $3 limit.
-- Locks: reads only; one REPEATABLE READ, READ ONLY transaction with the scan.
SELECT before + 1 AS first_id, entry_id - 1 AS last_id
FROM (
    SELECT {c_id}::bigint AS entry_id, lag({c_id}::bigint, 1, $1::bigint) OVER (ORDER BY {c_id}) AS before
    FROM {outbox_entry}
    WHERE {c_id} > $1::bigint AND {c_id} <= $2::bigint) AS ids
WHERE entry_id > before + 1
ORDER BY entry_id DESC
LIMIT $3::bigint
