-- The distinct texts among `todo_unread`, numbered by when they were first known. The headlines that bear one are not
-- gathered into lists here: such lists could not go to disk when the memory ends.
CREATE OR REPLACE TEMP TABLE todo_text AS
SELECT row_number() OVER (ORDER BY first_at NULLS LAST, first_id) - 1 AS n, title, language, issuers
FROM (
    SELECT title, language, issuers, min(available_at) AS first_at, min(headline_id) AS first_id
    FROM todo_unread
    GROUP BY title, language, issuers
)
ORDER BY n
