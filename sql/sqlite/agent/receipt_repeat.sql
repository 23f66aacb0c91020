-- agent:receipt_repeat
-- Counts repeats of a message that was received before.
-- Parameters: ?1 receipt_key, ?2 times.
-- Locks: part of the one BEGIN IMMEDIATE transaction of a store.
UPDATE bodrelay_receipt
SET repeats = repeats + ?2
WHERE receipt_key = ?1
