-- journal:message_delete
-- An accepted message shrinks to its tombstone.
DELETE FROM message WHERE message = ?1
