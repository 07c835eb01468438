-- What one model read for whom and when, with names found by one linker. A headline that nobody could date has no
-- available_at and gives no signal; nor does an exposure that was not yet true on the day on which it was known.
-- `direction` is the sign of the reading; one that leans less than `least_lean` either way has none. `story` is what
-- it is about: its event or, where none was recognised, its likeliest theme. `number` names the row.
CREATE OR REPLACE TEMP TABLE story AS
SELECT row_number() OVER () AS number, s.headline_id, s.issuer, h.available_at, s.via, s.reason,
       r.event, r.p_event, r.p_ai_models, r.p_localization, r.p_sanctions,
       greatest(-1.0, least(1.0, s.p_positive - s.p_negative)) AS value,
       CASE s.via WHEN 'direct' THEN m.relevance * s.p_relevant ELSE s.p_relevant END AS relevance,
       CASE WHEN s.via = 'exposure' OR abs(s.p_positive - s.p_negative) > $least_lean
            THEN sign(s.p_positive - s.p_negative) ELSE 0 END AS direction,
       coalesce(r.event,
                CASE WHEN greatest(r.p_ai_models, r.p_localization, r.p_sanctions) <= $least_theme THEN 'none'
                     WHEN r.p_sanctions >= greatest(r.p_ai_models, r.p_localization) THEN 'theme sanctions'
                     WHEN r.p_localization >= r.p_ai_models THEN 'theme localization'
                     ELSE 'theme ai_models' END) AS story
FROM score AS s
JOIN headline AS h USING (headline_id)
JOIN reading AS r ON r.headline_id = s.headline_id AND r.model_id = s.model_id
LEFT JOIN mention AS m ON m.headline_id = s.headline_id AND m.issuer = s.issuer AND m.linker = $linker
WHERE s.model_id = $model AND h.available_at IS NOT NULL
  AND CASE s.via WHEN 'direct' THEN m.relevance IS NOT NULL
                 ELSE r.exposures_on <= CAST(h.available_at AS DATE) END
