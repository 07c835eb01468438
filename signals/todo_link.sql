-- Headlines that this linker has not read yet, in a fixed order.
SELECT h.headline_id, h.title, h.summary, h.body
FROM headline AS h
ANTI JOIN linked AS l ON l.headline_id = h.headline_id AND l.linker = $linker
ORDER BY h.headline_id
