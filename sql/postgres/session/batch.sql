-- session:batch
-- The session's own table of the documents that are composed; DBAs' queries join it. Made before the transaction, which is
-- READ ONLY: that forbids to write to any other table.
CREATE TEMP TABLE IF NOT EXISTS bodrelay_batch (
    document_no bigint PRIMARY KEY,
    document_id text NOT NULL,
    accounting_entity text NOT NULL,
    document_location text NOT NULL,
    action_code text NOT NULL,
    variation_id bigint NOT NULL
)
