-- The first of the decisions in a row, up to $at, at which an instrument was wanted on the side $sign.
SELECT min(decision_at)
FROM target
WHERE run_id = $run AND instrument = $instrument AND decision_at <= $at
  AND decision_at > coalesce((SELECT max(decision_at)
                              FROM target
                              WHERE run_id = $run AND instrument = $instrument AND decision_at < $at
                                AND weight * $sign <= 0), TIMESTAMP '0001-01-01')
