-- Every signal behind every fill, back to its headline, the model's reading of it and the model.
-- Outer joins: a cause whose headline or score is gone is still a cause.
SELECT
    c.fill_no, c.rank, c.relation, c.issuer, c.theme, c.strength,
    s.p_positive - s.p_negative AS value,
    s.p_negative, s.p_neutral, s.p_positive, r.event,
    c.headline_id, h.title, h.source, h.url, h.published_at, h.published_precision, h.published_zone, h.available_at,
    c.model_id, m.name AS model_name
FROM fill_cause AS c
LEFT JOIN headline AS h USING (headline_id)
LEFT JOIN score AS s USING (headline_id, issuer, model_id)
LEFT JOIN reading AS r USING (headline_id, model_id)
LEFT JOIN model AS m USING (model_id)
WHERE c.run_id = $run
ORDER BY c.fill_no, c.rank
