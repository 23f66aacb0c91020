-- journal:message_in_flight
-- Messages that an earlier life of this agent began and did not record.
SELECT message FROM message WHERE point_id = ?1 AND state = 1 AND settled = 0
