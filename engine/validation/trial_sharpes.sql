-- How many different configurations of a strategy have a Sharpe ratio, and the variance of those (a year's). They are
-- added in one order, so that the last digit does not depend on which thread came first.
SELECT count(sharpe), var_samp(sharpe ORDER BY sharpe, trial_id)
FROM (
    SELECT DISTINCT row.trial_id, row.sharpe
    FROM sweep_row AS row
    JOIN sweep USING (sweep_id)
    WHERE sweep.strategy = $strategy AND row.sharpe IS NOT NULL
)
