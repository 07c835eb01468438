-- Distinct texts that this reader has not read, by when they were first known. What the model says of a text depends
-- on its words, its language and the issuers that it names (those that only the summary or the body names among them);
-- whom it moves besides, on which exposures held: `days` are the days from which one more holds. So a text comes once,
-- with the headlines that bear it for each of those days. Of an undated headline all exposures count; should it be
-- dated later on, `stories.sql` leaves out what was not yet true.
CREATE OR REPLACE TEMP TABLE todo_read AS
WITH named AS (
    SELECT headline_id, list(issuer ORDER BY issuer) AS issuers
    FROM mention
    WHERE linker = $linker AND via = 'direct'
    GROUP BY headline_id
),
unread AS (
    SELECT h.headline_id, h.available_at, h.title, h.language, coalesce(n.issuers, []) AS issuers,
           d.day AS exposures_on
    FROM headline AS h
    SEMI JOIN (FROM linked WHERE linker = $linker) AS l ON l.headline_id = h.headline_id
    ANTI JOIN (FROM reading WHERE model_id = $model) AS r ON r.headline_id = h.headline_id
    LEFT JOIN named AS n ON n.headline_id = h.headline_id
    ASOF LEFT JOIN days AS d ON coalesce(CAST(h.available_at AS DATE), DATE '9999-12-31') >= d.day
),
by_day AS (
    SELECT title, language, issuers, exposures_on, list(headline_id ORDER BY headline_id) AS headlines,
           min(available_at) AS first_at
    FROM unread
    GROUP BY title, language, issuers, exposures_on
)
SELECT row_number() OVER (ORDER BY min(first_at) NULLS LAST, min(headlines[1])) - 1 AS n, title, language, issuers,
       list({'exposures_on': exposures_on, 'headlines': headlines} ORDER BY exposures_on NULLS FIRST) AS days,
       CAST(sum(len(headlines)) AS BIGINT) AS borne_by
FROM by_day
GROUP BY title, language, issuers
ORDER BY n
