-- A day in a zone has ended a day after its midnight there; one that was seen by a collector is known from then on.
SELECT headline_id || ' of ' || CAST(published_at AS DATE) || ' known at ' || available_at
FROM headline
WHERE published_precision = 'day'
  AND available_at < coalesce(first_seen_at,
          timezone('UTC', timezone(coalesce(published_zone, 'UTC'),
              date_trunc('day', timezone(coalesce(published_zone, 'UTC'), timezone('UTC', published_at)))
              + INTERVAL 1 DAY)))
ORDER BY headline_id
