-- Different configurations ever tried of one strategy, or of all where $strategy is NULL.
SELECT count(*) FROM (
    SELECT strategy, params, settings, data_fingerprint, model_id
    FROM run
    WHERE strategy = $strategy OR $strategy IS NULL
    UNION
    SELECT sweep.strategy, row.params, row.settings, row.data_fingerprint, row.model_id
    FROM sweep_row AS row
    JOIN sweep USING (sweep_id)
    WHERE sweep.strategy = $strategy OR $strategy IS NULL
)
