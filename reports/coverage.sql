-- What became of the headlines of a span, in the order of the stages; every headline is counted in each of them.
WITH span AS (
    SELECT headline_id FROM headline WHERE available_at BETWEEN $start AND $until
),
read AS (
    SELECT headline_id, abstained FROM reading JOIN span USING (headline_id) WHERE model_id = $model
),
moving AS (
    SELECT headline_id, theme, issuer, value
    FROM signal JOIN span USING (headline_id)
    WHERE model_id = $model AND linker = $linker
),
asked AS (
    SELECT * FROM moving WHERE $themes IS NULL OR list_contains($themes, theme)
),
traded AS (
    SELECT * FROM asked WHERE list_contains($issuers, issuer)
),
steps AS (
    SELECT 0 AS place, 'known in the span of the run' AS step, (SELECT count(*) FROM span) AS headlines
    UNION ALL
    SELECT 1, 'name an issuer', (
        SELECT count(DISTINCT headline_id) FROM mention JOIN span USING (headline_id)
        WHERE linker = $linker AND via = 'direct'
    )
    UNION ALL
    SELECT 2, 'read by the model', (SELECT count(*) FROM read WHERE abstained IS NULL)
    UNION ALL
    SELECT 3, 'the model abstained: ' || abstained, count(*) FROM read WHERE abstained IS NOT NULL GROUP BY abstained
    UNION ALL
    SELECT 4, 'not read by this model', (SELECT count(*) FROM span) - (SELECT count(*) FROM read)
    UNION ALL
    SELECT 5, 'give a signal', (SELECT count(DISTINCT headline_id) FROM moving)
    UNION ALL
    SELECT 6, 'of the themes that the strategy reads', (SELECT count(DISTINCT headline_id) FROM asked)
    UNION ALL
    SELECT 7, 'for an issuer that the run trades', (SELECT count(DISTINCT headline_id) FROM traded)
    UNION ALL
    SELECT 8, 'and leans to a side', (SELECT count(DISTINCT headline_id) FROM traded WHERE abs(value) >= $lean)
    UNION ALL
    SELECT 9, 'without a date, in no run', (SELECT count(*) FROM headline WHERE available_at IS NULL)
)
SELECT step, headlines, headlines / nullif((SELECT count(*) FROM span), 0) AS share
FROM steps
ORDER BY place, headlines DESC, step
