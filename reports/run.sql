SELECT
    r.run_id, r.run_no, r.strategy, r.engine, r.params, r.settings, r.data_fingerprint, r.model_id,
    m.name AS model_name, m.training_cutoff, r.code_version, r.warnings
FROM run AS r
LEFT JOIN model AS m USING (model_id)
WHERE r.run_id = ?
