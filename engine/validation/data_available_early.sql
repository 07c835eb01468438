SELECT headline_id || ' known at ' || available_at || ', published ' || published_at
       || coalesce(', seen ' || first_seen_at, '')
FROM headline
WHERE published_precision IS DISTINCT FROM 'day' AND available_at < greatest(published_at, coalesce(first_seen_at, published_at))
ORDER BY headline_id
