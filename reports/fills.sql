-- The fills of a run in their order; `value` and `cost` in base currency.
SELECT
    fill_no, session, decision_at, auction_at, venue, auction, instrument,
    CASE WHEN auction = 'action' THEN 'split' WHEN shares < 0 THEN 'sell' ELSE 'buy' END AS side,
    shares, price, auction_price, currency, fx,
    abs(shares * price * fx) AS value,
    commission, duty, levies, slippage,
    (commission + duty + levies + slippage) * fx AS cost,
    realized
FROM fill
WHERE run_id = $run
ORDER BY fill_no
