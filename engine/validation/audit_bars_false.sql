-- Of a bar that has begun the open is known, and with $keep_volume the volume; with $whole the rest is as if nothing
-- had followed. Without it the rest, and every price of later bars, is false.
UPDATE bar
SET open = CASE WHEN late.begun THEN open ELSE open * factor END,
    high = CASE WHEN $whole THEN open ELSE high * factor + CASE WHEN late.begun THEN open ELSE 0 END END,
    low = CASE WHEN $whole THEN open ELSE low * least(factor, 1) * 0.9 END,
    close = CASE WHEN $whole THEN open ELSE close * factor END,
    adj_close = NULL,
    volume = CASE WHEN late.begun AND $keep_volume THEN volume WHEN $whole THEN NULL ELSE round(volume * factor) END
FROM late
WHERE bar.instrument = late.instrument AND bar.interval = late.interval AND bar.starts_at = late.starts_at
