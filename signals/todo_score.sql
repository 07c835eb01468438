-- (headline, issuer) pairs that this model has neither scored nor abstained from, in a fixed order.
CREATE OR REPLACE TEMP TABLE todo_score AS
SELECT row_number() OVER (ORDER BY h.available_at NULLS LAST, m.headline_id, m.issuer) - 1 AS n,
       m.headline_id, m.issuer, h.title, h.language
FROM mention AS m
JOIN headline AS h USING (headline_id)
ANTI JOIN score AS s ON s.headline_id = m.headline_id AND s.issuer = m.issuer AND s.model_id = $model
ANTI JOIN abstention AS a ON a.headline_id = m.headline_id AND a.issuer = m.issuer AND a.model_id = $model
WHERE m.linker = $linker AND m.via = 'direct'
