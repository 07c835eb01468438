-- What is stored of headlines that come again.
SELECT h.headline_id, h.published_at, h.published_precision, h.published_zone, h.dated_by, h.first_seen_at
FROM headline AS h
SEMI JOIN incoming ON incoming.headline_id = h.headline_id
