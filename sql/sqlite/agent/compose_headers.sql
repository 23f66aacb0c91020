-- agent:compose_headers
-- Writes a header of a composed document.
-- Parameters: ?1 C_ID of the entry, ?2 key, ?3 value.
-- Locks: part of the one BEGIN IMMEDIATE transaction that writes composed documents.
INSERT INTO COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
VALUES (?1, ?2, ?3)
