-- Bars that had not begun are taken away where the table says so.
DELETE FROM bar USING late
WHERE bar.instrument = late.instrument AND bar.interval = late.interval AND bar.starts_at = late.starts_at
  AND late.gone AND NOT late.begun
