-- The headlines that this reader has not read, with the issuers that each names (those that only the summary or the body
-- names among them). Apart from their titles: what is joined here is held in memory.
CREATE OR REPLACE TEMP TABLE todo_id AS
WITH named AS (
    SELECT headline_id, string_agg(issuer, ' ' ORDER BY issuer) AS issuers
    FROM mention
    WHERE linker = $linker AND via = 'direct'
    GROUP BY headline_id
)
SELECT l.headline_id, coalesce(n.issuers, '') AS issuers
FROM (FROM linked WHERE linker = $linker) AS l
ANTI JOIN (FROM reading WHERE model_id = $model) AS r ON r.headline_id = l.headline_id
LEFT JOIN named AS n ON n.headline_id = l.headline_id
