-- Costs of a run by venue, currency and kind; borrow is booked by day, not by fill.
WITH by_kind AS (
    UNPIVOT (SELECT venue, currency, fx, commission, duty, levies, slippage FROM fill WHERE run_id = $run)
    ON commission, duty, levies, slippage INTO NAME kind VALUE amount
)
SELECT venue, currency, kind, sum(amount) AS amount, sum(amount * fx) AS amount_base
FROM by_kind
GROUP BY ALL
HAVING sum(amount) <> 0
UNION ALL
SELECT '' AS venue, $base AS currency, 'borrow' AS kind, sum(borrow), sum(borrow)
FROM equity
WHERE run_id = $run
HAVING sum(borrow) <> 0
ORDER BY venue, currency, kind
