-- The stories that have an embedding, each issuer's in the order in which they became known; between stories of the
-- same instant the one with the lesser id is the first. `event` numbers the event (or theme); 0 is for one that was read
-- with less than `sure_event`, which tells no story from another.
WITH event AS (
    SELECT story, row_number() OVER (ORDER BY story) AS event FROM (SELECT DISTINCT story FROM story)
)
SELECT s.number, s.issuer, s.available_at,
       CASE WHEN s.p_event < $sure_event THEN 0 ELSE e.event END AS event,
       CAST(s.direction AS TINYINT) AS direction, r.embedding
FROM story AS s
JOIN event AS e USING (story)
JOIN reading AS r ON r.headline_id = s.headline_id AND r.model_id = $model
WHERE r.embedding IS NOT NULL
ORDER BY s.issuer, s.available_at, s.headline_id
