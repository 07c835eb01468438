-- The price before a split of k new shares for one, over the price after it, is near k in unadjusted bars. Where it is
-- nearer to 1 (in logarithms), the bars contain the split, which the run would apply again.
WITH around AS (
    SELECT a.instrument, a.ex_date, a.value,
           (SELECT arg_max(b.close, b.session) FROM bar AS b
            WHERE b.instrument = a.instrument AND b.interval = '1d' AND b.session < a.ex_date) AS before,
           (SELECT arg_min(b.open, b.session) FROM bar AS b
            WHERE b.instrument = a.instrument AND b.interval = '1d' AND b.session >= a.ex_date) AS after
    FROM corporate_action AS a
    WHERE a.kind = 'split'
      AND EXISTS (SELECT 1 FROM bar AS b
                  WHERE b.instrument = a.instrument AND b.interval = '1d' AND b.adjustment = 'none')
)
SELECT instrument || ' on ' || ex_date || ': ' || value || ' for 1, but ' || before || ' before and ' || after || ' after'
FROM around
WHERE before > 0 AND after > 0 AND abs(ln(before / after)) < abs(ln(before / after) - ln(value))
ORDER BY instrument, ex_date
