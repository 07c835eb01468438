-- The signals behind one fill, strongest first: as causes.sql, with the signal as it was built and the reader's reason.
SELECT
    c.rank, c.relation, c.issuer, s.via, c.theme, r.event, c.strength, g.value, g.relevance, g.novelty, g.theme_weight,
    g.half_life_days, s.p_negative, s.p_neutral, s.p_positive, s.reason, c.headline_id, h.title, h.source, h.url,
    h.published_at, h.published_precision, h.published_zone,
    h.available_at + $latency AS available_at, c.model_id, m.name AS model_name, m.training_cutoff
FROM fill_cause AS c
LEFT JOIN headline AS h USING (headline_id)
LEFT JOIN score AS s USING (headline_id, issuer, model_id)
LEFT JOIN reading AS r USING (headline_id, model_id)
LEFT JOIN model AS m USING (model_id)
LEFT JOIN (FROM signal WHERE linker = $linker) AS g USING (headline_id, issuer, theme, model_id)
WHERE c.run_id = $run AND c.fill_no = $fill
ORDER BY c.rank
