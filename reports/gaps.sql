-- Of each instrument that a run traded: the sessions with a bar, from its first bar or the run's first day to the run's
-- last day, or to its last bar where it was closed because it had no more.
WITH traded AS (
    SELECT instrument, venue, bool_or(auction = 'delisting') AS ended
    FROM fill
    WHERE run_id = $run
    GROUP BY instrument, venue
)
SELECT
    instrument,
    venue,
    greatest(min(bar.session), $first) AS since,
    CASE WHEN ended THEN least(max(bar.session), $last) ELSE $last END AS until,
    count(DISTINCT bar.session) FILTER (bar.session BETWEEN $first AND $last) AS sessions
FROM traded
JOIN bar USING (instrument)
WHERE bar.interval = $interval
GROUP BY instrument, venue, ended
ORDER BY instrument
