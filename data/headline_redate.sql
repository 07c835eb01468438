-- A headline that comes again may bring a date where there was none, and an earlier sighting.
UPDATE headline
SET published_at = incoming.published_at,
    published_precision = incoming.published_precision,
    published_zone = incoming.published_zone,
    dated_by = incoming.dated_by,
    first_seen_at = incoming.first_seen_at,
    available_at = incoming.available_at
FROM incoming
WHERE incoming.headline_id = headline.headline_id
