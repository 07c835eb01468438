-- What a run could read, one statement for each table of `DATA_TABLES`, in that order: the bars of its span, those before
-- that a strategy may look back on, and each instrument's last one, which tells a silence from an end.
SELECT *
FROM bar
WHERE (list_contains($instruments, instrument) AND interval = $interval
       AND (session BETWEEN $first AND $end
            OR session = (SELECT max(b.session) FROM bar AS b
                          WHERE b.instrument = bar.instrument AND b.interval = bar.interval)))
   OR (list_contains($benchmarks, instrument) AND interval = '1d' AND session BETWEEN $first AND $end)
ORDER BY instrument, interval, starts_at;
SELECT * FROM fx_rate WHERE CAST(available_at AS DATE) <= $end ORDER BY currency, fixed_on;
SELECT * FROM corporate_action WHERE list_contains($instruments, instrument) ORDER BY instrument, ex_date, kind;
SELECT * FROM model WHERE model_id = $model;
SELECT *
FROM headline
WHERE headline_id IN (SELECT headline_id FROM signal
                      WHERE model_id = $model AND linker = $linker AND available_at BETWEEN $since AND $until)
   OR (available_at IS NULL AND headline_id IN (SELECT headline_id FROM score WHERE model_id = $model))
ORDER BY headline_id;
SELECT *
FROM score
WHERE model_id = $model
  AND (headline_id IN (SELECT headline_id FROM signal
                       WHERE model_id = $model AND linker = $linker AND available_at BETWEEN $since AND $until)
       OR headline_id IN (SELECT headline_id FROM headline WHERE available_at IS NULL))
ORDER BY headline_id, issuer;
SELECT *
FROM signal
WHERE model_id = $model AND linker = $linker AND available_at BETWEEN $since AND $until
ORDER BY available_at, headline_id, issuer, theme
