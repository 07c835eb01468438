-- The last validation of a kind of a run or sweep.
SELECT validation_id, payload
FROM validation
WHERE subject = $subject AND kind = $kind
ORDER BY validation_no DESC
LIMIT 1
