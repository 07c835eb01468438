-- The texts from number $start up to $stop, a row for each of the days whose exposures count.
SELECT n, title, language, issuers, exposures_on, list(headline_id ORDER BY headline_id) AS headlines
FROM todo_text
JOIN todo_headline USING (n)
WHERE n >= $start AND n < $stop
GROUP BY n, title, language, issuers, exposures_on
ORDER BY n, exposures_on NULLS FIRST
