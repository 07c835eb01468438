-- The fills of a run that name a headline among their causes, in their order.
SELECT f.fill_no, c.relation, c.issuer, c.strength, f.instrument, f.venue, f.shares, f.price, f.currency, f.decision_at,
       f.auction_at, f.realized
FROM fill_cause AS c
JOIN fill AS f USING (run_id, fill_no)
WHERE c.run_id = $run AND c.headline_id = $headline
GROUP BY ALL
ORDER BY f.fill_no, c.issuer
