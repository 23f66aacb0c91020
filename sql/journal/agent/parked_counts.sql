-- journal:parked_counts
-- How much is parked, why, for which document type.
SELECT reason, document_type, count(*), min(first_seen) FROM parked WHERE point_id = ?1
 GROUP BY reason, document_type
