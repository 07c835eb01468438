-- How much of each story its issuer's earlier ones within the window already said: the sum of their likeness to it.
-- Likeness comes from the inner product c of two embeddings: 0 up to `low`, 1 from `high`, straight between. A story
-- of another event or direction is another story, unless it is worded nearly the same (c >= `same_wording`).
-- Only earlier stories count, and between stories of the same instant the one with the lesser id is the first.
-- Both sides carry days, so that pairs come from a hash join: a story looks at its own day and those of the window
-- before. Likeness is added up in millionths: whole numbers come to the same sum in any order.
CREATE OR REPLACE TEMP TABLE told AS
WITH dated AS (
    SELECT *, epoch_us(available_at) // 86400000000 AS day FROM story
),
later AS (
    SELECT *, unnest(range(day - $window_days, day + 1)) AS looks_at FROM dated
),
pairs AS (
    SELECT n.headline_id, n.issuer, n.story = o.story AND n.direction = o.direction AS same_news,
           list_inner_product(n.embedding, o.embedding) AS c
    FROM later AS n
    JOIN dated AS o ON o.issuer = n.issuer AND o.day = n.looks_at
    WHERE o.available_at >= n.available_at - to_days($window_days)
      AND (o.available_at < n.available_at OR (o.available_at = n.available_at AND o.headline_id < n.headline_id))
)
SELECT headline_id, issuer,
       sum(CAST(round(1e6 * least(1.0, (c - $low) / ($high - $low))) AS BIGINT)) / 1e6 AS before
FROM pairs
WHERE c > $low AND (same_news OR c >= $same_wording)
GROUP BY headline_id, issuer
