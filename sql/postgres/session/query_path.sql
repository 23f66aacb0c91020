-- session:query_path
-- Where unqualified names of DBAs' queries are looked for, in this transaction: as for the application, not in our schema.
-- Parameters: $1 the schemas, each quoted, with commas.
SELECT set_config('search_path', $1::text, true)
