-- Signals of one model and one linker. A headline that nobody could date has no available_at and gives no signal.
-- novelty = 1 / (1 + earlier stories that say the same): same issuer, same event (or theme, where no event was
-- recognised) and same direction within the window before it. Only earlier stories count, and between stories of
-- the same instant the one with the lesser id is the first.
INSERT INTO signal
WITH scored AS (
    SELECT s.headline_id, s.issuer, h.available_at, m.via, m.relevance, s.event,
           greatest(-1.0, least(1.0, s.p_positive - s.p_negative)) AS value,
           s.p_ai_models, s.p_localization, s.p_sanctions,
           s.p_ai_models + s.p_localization + s.p_sanctions AS p_any
    FROM score AS s
    JOIN headline AS h USING (headline_id)
    JOIN mention AS m ON m.headline_id = s.headline_id AND m.issuer = s.issuer AND m.linker = $linker
    WHERE s.model_id = $model AND h.available_at IS NOT NULL
),
grouped AS (
    SELECT *,
           coalesce(event, CASE WHEN p_sanctions > 0.5 THEN 'theme sanctions'
                                WHEN p_localization > 0.5 THEN 'theme localization'
                                WHEN p_ai_models > 0.5 THEN 'theme ai_models' ELSE 'none' END) AS story,
           CASE WHEN value > 0.2 THEN 1 WHEN value < -0.2 THEN -1 ELSE 0 END AS direction
    FROM scored
),
counted AS (
    SELECT *,
           count(*) OVER (
               PARTITION BY issuer, story, direction ORDER BY available_at
               RANGE BETWEEN INTERVAL 3 DAYS PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING
           )
           + row_number() OVER (PARTITION BY issuer, story, direction, available_at ORDER BY headline_id)
           - 1 AS earlier
    FROM grouped
),
themed AS (
    SELECT *, unnest([
        {'theme': 'ai_models', 'p': p_ai_models}, {'theme': 'localization', 'p': p_localization},
        {'theme': 'sanctions', 'p': p_sanctions}, {'theme': 'none', 'p': CASE WHEN p_any = 0 THEN 1.0 ELSE 0.0 END}
    ]) AS t
    FROM counted
)
SELECT headline_id, issuer, t.theme, $model, $linker, available_at, via, value, relevance,
       1.0 / (1 + earlier), t.p / greatest(p_any, t.p), half_life_days, event
FROM themed
JOIN half_lives ON half_lives.theme = t.theme
WHERE t.p > 0
ORDER BY available_at, headline_id, issuer, t.theme
