-- All sweeps, the latest last, with how far each got and its best Sharpe ratio.
SELECT sweep_no, sweep_id, strategy, axes, configurations, count(row_no) AS done, count(error) AS failed,
       max(sharpe) AS best_sharpe
FROM sweep
LEFT JOIN sweep_row USING (sweep_id)
GROUP BY ALL
ORDER BY sweep_no
