-- Signals from `story` and `told`: one per headline, issuer and theme. The themes that pass `least_theme` share the
-- weight by their P; a headline none of whose themes passes has the theme 'none'.
INSERT INTO signal
WITH themed AS (
    SELECT headline_id, issuer, unnest([
        {'theme': 'ai_models', 'p': p_ai_models}, {'theme': 'localization', 'p': p_localization},
        {'theme': 'sanctions', 'p': p_sanctions}
    ]) AS t
    FROM story
),
passed AS (
    SELECT headline_id, issuer, t.theme AS theme, t.p / sum(t.p) OVER (PARTITION BY headline_id, issuer) AS weight
    FROM themed
    WHERE t.p > $least_theme
)
SELECT s.headline_id, s.issuer, h.theme, $model, $linker, s.available_at, s.via, s.value, s.relevance,
       1.0 / (1.0 + coalesce(t.before, 0)), coalesce(p.weight, 1.0), h.half_life_days, s.event
FROM story AS s
LEFT JOIN passed AS p USING (headline_id, issuer)
LEFT JOIN told AS t USING (number)
JOIN half_lives AS h ON h.theme = coalesce(p.theme, 'none')
ORDER BY s.available_at, s.headline_id, s.issuer, h.theme
