-- agent:outbox_insert_headers
-- Writes a header of an entry of the outbox.
-- Parameters: ?1 C_OUTBOX_ID, ?2 C_HEADER_KEY, ?3 C_HEADER_VALUE.
-- Locks: part of the one BEGIN IMMEDIATE transaction with the end of the command.
INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
VALUES (?1, ?2, ?3)
