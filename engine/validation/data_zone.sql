-- Collectors see news within minutes. Where a source's quickest headline, of at least five, took whole hours (within
-- six minutes), its stamps may be in another zone than was said.
WITH delays AS (
    SELECT source, min(epoch(first_seen_at) - epoch(published_at)) AS least_s, count(*) AS n
    FROM headline
    WHERE published_precision IS DISTINCT FROM 'day' AND first_seen_at IS NOT NULL
    GROUP BY source
)
SELECT coalesce(source, 'no source') || ': the quickest of ' || n || ' was seen '
       || round(least_s / 3600, 2) || ' hours after its stamp'
FROM delays
WHERE n >= 5 AND abs(least_s) > 3240 AND abs(least_s / 3600 - round(least_s / 3600)) < 0.1
ORDER BY source
