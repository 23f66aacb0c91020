-- session:batch
-- The connection's own table of the documents that are composed: in memory of the connection, never in the file. DBAs'
-- queries join it.
CREATE TEMP TABLE IF NOT EXISTS bodrelay_batch (
    document_no INTEGER PRIMARY KEY,
    document_id TEXT NOT NULL,
    accounting_entity TEXT NOT NULL,
    document_location TEXT NOT NULL,
    action_code TEXT NOT NULL,
    variation_id INTEGER NOT NULL
)
