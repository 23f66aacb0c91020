-- journal:attempt_trim
-- Of many tries the ones in the middle go.
DELETE FROM attempt WHERE message = ?1 AND attempt_no > 10 AND attempt_no <= ?2 - 10
