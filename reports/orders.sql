-- Every order that traded or was cut for want of volume, with its bar's volume: shares as filled, but as wanted where
-- the part of the volume allowed was the limit. Splits and delistings are no orders.
WITH cut AS (
    SELECT auction_at, session, instrument, wanted, filled
    FROM unfilled
    WHERE run_id = $run AND reason = 'participation'
),
traded AS (
    SELECT auction_at, session, instrument, shares
    FROM fill
    WHERE run_id = $run AND auction IN ('open', 'close')
),
sent AS (
    SELECT traded.auction_at, traded.session, instrument, coalesce(cut.wanted, traded.shares) AS shares
    FROM traded
    LEFT JOIN cut USING (auction_at, instrument)
    UNION ALL
    SELECT auction_at, session, instrument, wanted FROM cut WHERE filled = 0
)
SELECT sent.shares, bar.volume
FROM sent
JOIN bar
    ON bar.instrument = sent.instrument
    AND bar.interval = $interval
    AND bar.session = sent.session
    AND ($interval = '1d' OR bar.starts_at = sent.auction_at)
ORDER BY sent.auction_at, sent.instrument
