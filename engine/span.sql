-- The longest span that a run can have: from the day on which every instrument's currency has a rate, and with
-- $news the first signal is known, to the last daily bar.
SELECT greatest(
           (SELECT min(session) FROM bar WHERE interval = '1d'),
           (SELECT max(since) FROM (SELECT min(available_at)::DATE + 1 AS since FROM fx_rate GROUP BY currency)),
           CASE WHEN $news THEN (SELECT min(available_at)::DATE FROM signal) END
       ),
       (SELECT max(session) FROM bar WHERE interval = '1d')
