-- Of the headlines behind a model's scores: whether its cut-off is unknown, and how many have no date.
SELECT bool_or(m.training_cutoff IS NULL), count(DISTINCT h.headline_id) FILTER (h.available_at IS NULL)
FROM score AS s
JOIN headline AS h USING (headline_id)
JOIN model AS m USING (model_id)
WHERE s.model_id = $model
