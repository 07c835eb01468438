-- How many different configurations of a strategy have a Sharpe ratio, and the variance of those (a year's).
SELECT count(sharpe), var_samp(sharpe)
FROM (
    SELECT DISTINCT row.trial_id, row.sharpe
    FROM sweep_row AS row
    JOIN sweep USING (sweep_id)
    WHERE sweep.strategy = $strategy AND row.sharpe IS NOT NULL
)
