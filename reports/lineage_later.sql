-- The first fill on the side $sign after the decision $at, while every decision since has wanted that side.
SELECT fill_no, decision_at, auction_at, shares, price, currency
FROM fill AS f
WHERE run_id = $run AND instrument = $instrument AND decision_at > $at AND shares * $sign > 0
  AND NOT EXISTS (SELECT 1
                  FROM target AS t
                  WHERE t.run_id = $run AND t.instrument = $instrument AND t.decision_at > $at
                    AND t.decision_at <= f.decision_at AND t.weight * $sign <= 0)
ORDER BY fill_no
LIMIT 1
