-- journal:message_in_flight
-- Messages that an earlier life of this agent began and did not record. (None of them is held; to say so keeps SQLite
-- from reading those that are.)
SELECT message FROM message WHERE point_id = ?1 AND state = 1 AND settled = 0 AND held_by IS NULL
