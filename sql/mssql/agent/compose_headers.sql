-- agent:compose_headers
-- Writes the headers of a composed document; a key that is empty is none.
-- Parameters: @P1 C_ID of the entry, then twelve pairs of key and value, @P2 to @P25.
-- Locks: part of the one transaction that writes composed documents; the rows that it writes.
INSERT INTO /* iobox_schema */COR_OUTBOX_HEADERS (C_OUTBOX_ID, C_HEADER_KEY, C_HEADER_VALUE)
SELECT @P1, h.header_key, h.header_value
FROM (VALUES
    (@P2, @P3), (@P4, @P5), (@P6, @P7), (@P8, @P9), (@P10, @P11), (@P12, @P13), (@P14, @P15), (@P16, @P17), (@P18,
    @P19), (@P20, @P21), (@P22, @P23), (@P24, @P25)) AS h (header_key, header_value)
WHERE h.header_key <> N''
