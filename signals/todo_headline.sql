-- The headlines that bear each text of `todo_text`.
CREATE OR REPLACE TEMP TABLE todo_headline AS
SELECT t.n, u.exposures_on, u.headline_id
FROM todo_unread AS u
JOIN todo_text AS t USING (title, language, issuers)
ORDER BY t.n, u.exposures_on NULLS FIRST, u.headline_id
