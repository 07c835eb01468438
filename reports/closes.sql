-- The last price of each session for the instruments that a run traded, from the bars that it traded on.
SELECT instrument, session, arg_max(close, starts_at) AS close
FROM bar
WHERE interval = $interval
  AND session BETWEEN $first AND $last
  AND instrument IN (SELECT instrument FROM fill WHERE run_id = $run)
GROUP BY instrument, session
ORDER BY instrument, session
