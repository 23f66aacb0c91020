-- journal:parked_follow
-- A parked row is about to hold its lane no longer (?3: but this lane, where it holds that): the rows behind it are judged
-- again, up to the next one that holds the lane for a reason of its own. INDEXED BY: as in parked_page.
UPDATE parked INDEXED BY parked_lane SET reason = 'woken', document_type = ''
 WHERE point_id = ?1 AND holds = 1 AND reason = 'behind' AND entry_id > ?2
   AND lane = (SELECT lane FROM parked WHERE point_id = ?1 AND entry_id = ?2 AND holds = 1 AND lane IS NOT ?3)
   AND entry_id < coalesce(
       (SELECT later.entry_id FROM parked AS later INDEXED BY parked_lane
         WHERE later.point_id = ?1 AND later.holds = 1 AND later.entry_id > ?2 AND later.reason <> 'behind'
           AND later.lane = (SELECT lane FROM parked WHERE point_id = ?1 AND entry_id = ?2)
         ORDER BY later.entry_id LIMIT 1),
       9223372036854775807)
