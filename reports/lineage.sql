-- What became of each headline that a run could have read: one row for each issuer that it moves and each of the
-- issuer's instruments in the run, one alone where it moves none. `listings` are the run's instruments with their
-- issuer, and `read_after`: news known by then is never traded on (NULL where that is not known); `decisions` are all
-- decisions by venue. Instants of the run have its latency in them.
-- `fate` is the first of these that is true; what it means stands in `chipwire.reports.lineage.FATES`.
WITH item AS (
    SELECT headline_id, title, source, url, published_at, published_precision, published_zone,
           available_at + $latency AS available_at
    FROM headline
    WHERE CASE WHEN $headline IS NOT NULL THEN headline_id = $headline
               ELSE available_at IS NULL OR available_at + $latency BETWEEN $first AND $last END
),
scored AS (
    SELECT headline_id, issuer, via, p_negative, p_neutral, p_positive FROM score WHERE model_id = $model
),
signalled AS (
    SELECT headline_id, issuer, string_agg(theme, ',' ORDER BY theme) AS themes, any_value(event) AS event,
           any_value(value) AS value, any_value(relevance) AS relevance, any_value(novelty) AS novelty,
           bool_or($themes IS NULL OR list_contains($themes, theme)) AS in_themes
    FROM signal
    WHERE model_id = $model AND linker = $linker
    GROUP BY headline_id, issuer
),
known AS (
    SELECT i.*, r.abstained, r.headline_id IS NOT NULL AS was_read, k.headline_id IS NOT NULL AS was_linked,
           s.issuer, s.via, s.p_negative, s.p_neutral, s.p_positive, g.themes, g.event, g.value, g.relevance, g.novelty,
           g.in_themes, l.instrument, l.venue, l.read_after
    FROM item AS i
    LEFT JOIN (FROM reading WHERE model_id = $model) AS r USING (headline_id)
    LEFT JOIN (FROM linked WHERE linker = $linker) AS k USING (headline_id)
    LEFT JOIN scored AS s USING (headline_id)
    LEFT JOIN signalled AS g USING (headline_id, issuer)
    LEFT JOIN listings AS l ON l.issuer = s.issuer
),
met AS (
    SELECT n.*, d.decision_at
    FROM known AS n
    ASOF LEFT JOIN decisions AS d ON n.venue = d.venue AND n.available_at <= d.decision_at
),
caused AS (
    SELECT c.headline_id, c.issuer, f.instrument, count(*) AS fills, min(f.fill_no) AS fill_no,
           arg_min(f.auction_at, f.fill_no) AS filled_at, arg_min(f.shares, f.fill_no) AS shares,
           arg_min(f.price, f.fill_no) AS price, arg_min(f.currency, f.fill_no) AS currency
    FROM fill_cause AS c
    JOIN fill AS f USING (run_id, fill_no)
    WHERE c.run_id = $run AND c.relation IN ('own', 'opened')
    GROUP BY ALL
),
wish AS (SELECT decision_at, instrument, weight FROM target WHERE run_id = $run),
trade AS (SELECT DISTINCT decision_at, instrument FROM fill WHERE run_id = $run AND auction IN ('open', 'close')),
missed AS (SELECT decision_at, instrument, wanted, filled, reason FROM unfilled WHERE run_id = $run),
judged AS (
    SELECT m.*, w.weight AS target, u.wanted, u.filled, u.reason AS cut, c.fills, c.fill_no, c.filled_at, c.shares,
           c.price, c.currency,
    CASE
        WHEN m.available_at IS NULL THEN 'no_date'
        WHEN m.available_at < $first THEN 'too_early'
        WHEN $model IS NULL THEN 'no_reader'
        WHEN m.issuer IS NULL AND m.was_read AND m.abstained NOT LIKE 'names no issuer%' THEN 'abstained'
        WHEN m.issuer IS NULL AND m.was_read THEN 'no_issuer'
        WHEN m.issuer IS NULL AND m.was_linked THEN 'not_read'
        WHEN m.issuer IS NULL THEN 'not_linked'
        WHEN m.themes IS NULL THEN 'no_signal'
        WHEN m.instrument IS NULL THEN 'no_instrument'
        WHEN m.decision_at IS NULL THEN 'too_late'
        WHEN NOT m.in_themes THEN 'other_theme'
        WHEN m.available_at <= m.read_after THEN 'before_run'
        WHEN m.available_at < m.decision_at - $lookback THEN 'too_old'
        WHEN m.value = 0 OR m.relevance = 0 THEN 'neutral'
        WHEN m.novelty < $min_novelty THEN 'low_novelty'
        WHEN abs(m.value * m.relevance) < $threshold THEN 'below_threshold'
        WHEN c.fills IS NOT NULL THEN 'filled'
        WHEN t.instrument IS NOT NULL THEN 'outweighed'
        WHEN u.reason IS NOT NULL THEN 'not_filled'
        WHEN w.weight <> 0 THEN 'no_change'
        ELSE 'not_chosen'
    END AS fate
    FROM met AS m
    LEFT JOIN caused AS c USING (headline_id, issuer, instrument)
    LEFT JOIN wish AS w ON w.decision_at = m.decision_at AND w.instrument = m.instrument
    LEFT JOIN trade AS t ON t.decision_at = m.decision_at AND t.instrument = m.instrument
    LEFT JOIN missed AS u ON u.decision_at = m.decision_at AND u.instrument = m.instrument
)
SELECT headline_id, title, source, url, published_at, published_precision, published_zone, available_at, issuer, via,
       themes, event, value, relevance, novelty, p_negative, p_neutral, p_positive, instrument, venue,
       decision_at AS first_decision_at, target, wanted, filled, fate,
       CASE WHEN fate IN ('abstained', 'no_issuer') THEN abstained
            WHEN fate = 'not_filled' OR (fate IN ('filled', 'outweighed') AND filled <> 0) THEN cut END AS reason,
       fills, fill_no AS first_fill_no, filled_at AS first_fill_at, shares AS first_shares, price AS first_price,
       currency, (epoch_us(filled_at) - epoch_us(available_at)) / 86400e6 AS days_to_fill
FROM judged
ORDER BY available_at NULLS LAST, headline_id, issuer, instrument
