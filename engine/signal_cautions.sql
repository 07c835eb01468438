-- Of a model: its training cut-off, NULL where it is not known, and how many headlines it scored that have no date.
SELECT max(m.training_cutoff), count(DISTINCT h.headline_id) FILTER (h.available_at IS NULL)
FROM score AS s
JOIN headline AS h USING (headline_id)
JOIN model AS m USING (model_id)
WHERE s.model_id = $model
