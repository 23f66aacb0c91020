-- journal:006_received
-- Which messages were received, for 30 days: after a restore of the database, what it lacks can be named. ION was told
-- that it is stored, and does not send it again by itself.
CREATE TABLE received (
    point_id     INTEGER NOT NULL REFERENCES connection_point,
    -- SHA-256 of connection point and full message id: the key of bodrelay_receipt.
    receipt_key  BLOB    NOT NULL CHECK (length(receipt_key) = 32),
    message_id   TEXT    NOT NULL,
    received_at  INTEGER NOT NULL,
    PRIMARY KEY (point_id, receipt_key)
) WITHOUT ROWID;
CREATE INDEX received_time ON received (point_id, received_at);
