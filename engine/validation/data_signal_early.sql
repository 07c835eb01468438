SELECT s.headline_id || ' for ' || s.issuer || ': signal at ' || s.available_at || ', headline at '
       || coalesce(CAST(h.available_at AS VARCHAR), 'no time')
FROM signal AS s
LEFT JOIN headline AS h USING (headline_id)
WHERE s.model_id = $model AND s.linker = $linker AND (h.available_at IS NULL OR s.available_at < h.available_at)
ORDER BY s.available_at, s.headline_id, s.issuer, s.theme
