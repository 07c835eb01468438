-- Signals from `story` and `told`: one per headline, issuer and theme. The themes that pass `least_theme` share the
-- weight by their P; a headline none of whose themes passes has the theme 'none'.
INSERT INTO signal
WITH passing AS (
    SELECT headline_id, issuer, if(p_ai_models > $least_theme, p_ai_models, 0.0) AS ai_models,
           if(p_localization > $least_theme, p_localization, 0.0) AS localization,
           if(p_sanctions > $least_theme, p_sanctions, 0.0) AS sanctions
    FROM story
),
themed AS (
    -- Added here, in one order: an aggregate adds in the order in which its threads find the rows.
    SELECT headline_id, issuer, ai_models + localization + sanctions AS p_together, unnest([
        {'theme': 'ai_models', 'p': ai_models}, {'theme': 'localization', 'p': localization},
        {'theme': 'sanctions', 'p': sanctions}
    ]) AS t
    FROM passing
),
passed AS (
    SELECT headline_id, issuer, t.theme AS theme, t.p / p_together AS weight
    FROM themed
    WHERE t.p > 0.0
)
SELECT s.headline_id, s.issuer, h.theme, $model, $linker, s.available_at, s.via, s.value, s.relevance,
       1.0 / (1.0 + coalesce(t.before, 0)), coalesce(p.weight, 1.0), h.half_life_days, s.event
FROM story AS s
LEFT JOIN passed AS p USING (headline_id, issuer)
LEFT JOIN told AS t USING (number)
JOIN half_lives AS h ON h.theme = coalesce(p.theme, 'none')
ORDER BY s.available_at, s.headline_id, s.issuer, h.theme
