-- An instrument that is listed on a day, with the bars of another.
INSERT INTO bar
SELECT $name, interval, session, starts_at, open, high, low, close, adj_close, volume, adjustment, batch_id
FROM bar
WHERE instrument = $donor AND session > $day
