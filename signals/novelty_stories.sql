-- The stories that have an embedding, each issuer's in the order in which they became known; between stories of the
-- same instant the one with the lesser id is the first. Equal `news`: the same event (or theme) and direction.
WITH news AS (
    SELECT story, direction, row_number() OVER (ORDER BY story, direction) AS news
    FROM (SELECT DISTINCT story, direction FROM story)
)
SELECT s.number, s.issuer, s.available_at, n.news, r.embedding
FROM story AS s
JOIN news AS n USING (story, direction)
JOIN reading AS r ON r.headline_id = s.headline_id AND r.model_id = $model
WHERE r.embedding IS NOT NULL
ORDER BY s.issuer, s.available_at, s.headline_id
