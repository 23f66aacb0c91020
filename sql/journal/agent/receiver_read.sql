-- journal:receiver_read
-- Receivers that documents of a connection point went to.
SELECT logical_id FROM receiver WHERE point_id = ?1
