-- The headlines of `todo_id`. What the model says of one depends on its words, its language and the issuers that it
-- names; whom it moves besides, on which exposures held: $days are the days from which one more holds. Of an undated
-- headline all exposures count; should it be dated later on, `stories.sql` leaves out what was not yet true. The day is
-- found in a list and not by an ASOF join, which would hold all titles in memory at once.
CREATE OR REPLACE TEMP TABLE todo_unread AS
SELECT h.headline_id, h.available_at, h.title, h.language, i.issuers,
       list_max(list_filter($days, lambda day: day <= coalesce(CAST(h.available_at AS DATE), DATE '9999-12-31')))
           AS exposures_on
FROM headline AS h
JOIN todo_id AS i ON i.headline_id = h.headline_id
