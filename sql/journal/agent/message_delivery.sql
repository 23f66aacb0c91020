-- journal:message_delivery
-- What the state machine needs of a message.
SELECT state, settled, in_doubt, attempts, point_id, lane, entry_id, holds FROM message WHERE message = ?1
