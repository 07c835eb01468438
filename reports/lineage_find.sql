-- Headlines by id, by the first digits of the id, or by a part of the title in any case.
SELECT headline_id, title, source, available_at
FROM headline
WHERE headline_id = $text OR (length($text) >= 4 AND starts_with(headline_id, lower($text)))
   OR contains(lower(title), lower($text))
ORDER BY available_at NULLS LAST, headline_id
