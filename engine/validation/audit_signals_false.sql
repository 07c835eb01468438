-- The others say the contrary, and come later than they did.
UPDATE signal
SET value = -value, novelty = 1 - novelty, available_at = available_at + to_seconds(untrue.shift_s)
FROM untrue
WHERE signal.headline_id = untrue.headline_id AND signal.issuer = untrue.issuer AND signal.theme = untrue.theme
  AND signal.model_id = untrue.model_id AND signal.linker = untrue.linker
