-- agent:inbox_insert_headers
-- Writes a header of an entry of the inbox.
-- Parameters: ?1 C_INBOX_ID, ?2 C_HEADER_KEY, ?3 C_HEADER_VALUE.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
INSERT INTO COR_INBOX_HEADERS (C_INBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
VALUES (?1, ?2, ?3)
