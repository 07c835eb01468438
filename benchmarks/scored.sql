-- Headlines as a model leaves them: when, about whom, how read; the same for the same number of rows.
-- An embedding is part of the field (all headlines are somewhat alike), part of one of an issuer's stories, which about
-- eight headlines in a row tell, and part of its own; of length 1, with three decimals, as stored by ``chipwire score``.
INSERT INTO headline (headline_id, title, language, published_at, published_precision, available_at, dated_by, batch_id)
SELECT printf('%016x', n), 'item ' || n, 'en', known, 'second', known, 'row', 1
FROM (
    SELECT n, TIMESTAMP '2022-12-01' + to_microseconds(CAST(n * (1030 * 86400e6 / $rows) AS BIGINT)) AS known
    FROM range($rows) AS t(n)
);
INSERT INTO mention
SELECT printf('%016x', n), list_extract($issuers, 1 + CAST(hash(n, 5) % len($issuers) AS INTEGER)), 'direct', 1.0,
       'name', $linker
FROM range($rows) AS t(n);
INSERT INTO reading (headline_id, model_id, exposures_on, p_ai_models, p_localization, p_sanctions, event, p_event,
                     p_for, p_against, embedding, batch_id)
SELECT printf('%016x', n), $model, DATE '2022-12-01', (hash(n, 1) % 1000) / 1000.0, (hash(n, 2) % 1000) / 1000.0,
       (hash(n, 3) % 1000) / 1000.0, 'event ' || hash(n, 4) % 20, 0.9, 0.5, 0.5,
       list_transform(range($size), lambda k: CAST(round(sqrt(12 / $size) * (
           0.45 * (hash(k) % 1000 / 999.0 - 0.5)
           + 0.70 * (hash(hash(n, 5) % len($issuers), n // (8 * len($issuers)), k) % 1000 / 999.0 - 0.5)
           + 0.55 * (hash(n, k, 6) % 1000 / 999.0 - 0.5)
       ), 3) AS FLOAT)), 1
FROM range($rows) AS t(n);
INSERT INTO score
SELECT m.headline_id, m.issuer, $model, 'direct', p, 0.0, 1.0 - p, 0.9, 'named', 1
FROM (SELECT *, (hash(headline_id) % 1000) / 1000.0 AS p FROM mention) AS m
