SELECT s.available_at, s.issuer, s.via, s.theme, s.event, s.value, s.novelty, s.relevance, c.reason, h.title
FROM signal AS s
JOIN headline AS h USING (headline_id)
LEFT JOIN score AS c USING (headline_id, issuer, model_id)
WHERE s.model_id = $model AND s.linker = $linker AND ($issuer IS NULL OR s.issuer = $issuer)
ORDER BY s.available_at DESC, s.headline_id, s.issuer, s.theme
LIMIT $limit
