-- Costs of a run by venue, currency and kind; borrow is booked by day, not by fill.
-- Sums name their order: threads that add in another order change the last bits.
WITH by_kind AS (
    UNPIVOT (SELECT fill_no, venue, currency, fx, commission, duty, levies, slippage FROM fill WHERE run_id = $run)
    ON commission, duty, levies, slippage INTO NAME kind VALUE amount
)
SELECT venue, currency, kind, sum(amount ORDER BY fill_no) AS amount,
       sum(amount * fx ORDER BY fill_no) AS amount_base
FROM by_kind
GROUP BY ALL
HAVING max(abs(amount)) > 0
UNION ALL
SELECT '' AS venue, $base AS currency, 'borrow' AS kind, sum(borrow ORDER BY day), sum(borrow ORDER BY day)
FROM equity
WHERE run_id = $run
HAVING max(abs(borrow)) > 0
ORDER BY venue, currency, kind
