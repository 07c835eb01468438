-- What a model says of a run's issuers, oldest first: one row for a headline, an issuer and a theme.
SELECT s.headline_id, s.issuer, s.theme, coalesce(s.event, 'none') AS event, s.available_at, s.value, s.novelty,
       s.relevance, s.theme_weight, s.half_life_days, coalesce(h.published_precision = 'day', false) AS day_only
FROM signal AS s
LEFT JOIN headline AS h USING (headline_id)
WHERE s.model_id = $model AND s.linker = $linker AND s.available_at BETWEEN $since AND $until
  AND list_contains($issuers, s.issuer)
ORDER BY s.available_at, s.headline_id, s.issuer, s.theme
