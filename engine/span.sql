-- The longest span that a run can have: from the day on which every instrument's currency has a rate, and with
-- $news the first signal is known, to the last bar; with several intervals, where all of them have bars.
WITH span AS (
    SELECT min(session) AS first, max(session) AS last
    FROM bar
    WHERE list_contains($intervals, interval)
    GROUP BY interval
)
SELECT greatest(
           (SELECT max(first) FROM span),
           (SELECT max(since) FROM (SELECT min(available_at)::DATE + 1 AS since FROM fx_rate GROUP BY currency)),
           CASE WHEN $news THEN (SELECT min(available_at)::DATE FROM signal) END
       ),
       (SELECT min(last) FROM span)
