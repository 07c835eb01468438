-- What stood behind each fill: theme, event and whether the issuer was named, with the size of the signal. Rivals, the
-- signals on others that outweighed an instrument, are no reason to hold it.
SELECT
    c.fill_no,
    CASE c.theme WHEN 'none' THEN 'no theme' ELSE c.theme END AS theme,
    coalesce(r.event, 'no event recognised') AS event,
    coalesce(s.via, 'not known') AS via,
    abs(c.strength) AS size
FROM fill_cause AS c
LEFT JOIN score AS s USING (headline_id, issuer, model_id)
LEFT JOIN reading AS r USING (headline_id, model_id)
WHERE c.run_id = $run AND c.relation <> 'rival'
ORDER BY c.fill_no, c.rank
