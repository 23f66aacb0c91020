-- journal:alert_read
-- Findings that somebody was told of and that are not told as over.
SELECT finding, told FROM alert
