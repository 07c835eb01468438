SELECT headline_id || ' seen ' || first_seen_at || ', published ' || published_at
FROM headline
WHERE published_precision IS DISTINCT FROM 'day' AND first_seen_at < published_at
ORDER BY headline_id
