-- agent:outbox_insert_headers
-- Writes a header of an entry of the outbox.
-- Parameters: @P1 C_OUTBOX_ID, @P2 C_HEADER_KEY, @P3 C_HEADER_VALUE.
-- Locks: part of the one transaction with the end of the command; only new rows.
INSERT INTO /* iobox_schema */COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
VALUES (@P1, @P2, @P3)
