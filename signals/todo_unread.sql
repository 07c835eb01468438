-- The headlines that this reader has not read. What the model says of one depends on its words, its language and the
-- issuers that it names (those that only the summary or the body names among them); whom it moves besides, on which
-- exposures held: `days` are the days from which one more holds. Of an undated headline all exposures count; should it
-- be dated later on, `stories.sql` leaves out what was not yet true.
CREATE OR REPLACE TEMP TABLE todo_unread AS
WITH named AS (
    SELECT headline_id, string_agg(issuer, ' ' ORDER BY issuer) AS issuers
    FROM mention
    WHERE linker = $linker AND via = 'direct'
    GROUP BY headline_id
)
SELECT h.headline_id, h.available_at, h.title, h.language, coalesce(n.issuers, '') AS issuers, d.day AS exposures_on
FROM headline AS h
SEMI JOIN (FROM linked WHERE linker = $linker) AS l ON l.headline_id = h.headline_id
ANTI JOIN (FROM reading WHERE model_id = $model) AS r ON r.headline_id = h.headline_id
LEFT JOIN named AS n ON n.headline_id = h.headline_id
ASOF LEFT JOIN days AS d ON coalesce(CAST(h.available_at AS DATE), DATE '9999-12-31') >= d.day
