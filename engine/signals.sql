-- Every signal of one model and linker that could reach a decision of the run, oldest first.
SELECT headline_id, issuer, theme, event, model_id, available_at, value, novelty, relevance, theme_weight,
       half_life_days
FROM signal
WHERE model_id = $model AND linker = $linker AND available_at >= $start AND available_at <= $end
ORDER BY available_at, headline_id, issuer, theme
