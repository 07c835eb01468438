SELECT currency || ' of ' || fixed_on || ' known at ' || available_at
FROM fx_rate
WHERE available_at < CAST(fixed_on AS TIMESTAMP) + INTERVAL 1 DAY
ORDER BY currency, fixed_on
