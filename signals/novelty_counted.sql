-- How much of each story its issuer's earlier ones already said, for a model without embeddings: every earlier story of
-- the same event (or theme) and direction within the window counts as one that said the same. Those with embeddings
-- are compared in novelty.py.
SELECT number,
       count(*) OVER (
           PARTITION BY issuer, story, direction ORDER BY available_at
           RANGE BETWEEN to_days($window_days) PRECEDING AND INTERVAL 1 MICROSECOND PRECEDING
       )
       + row_number() OVER (PARTITION BY issuer, story, direction, available_at ORDER BY headline_id)
       - 1 AS before
FROM story
