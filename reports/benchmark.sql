-- One instrument's last known close at each day's end, with the last FX rates known then (units for one USD).
-- `days` is the frame of days asked for; `day_end` is the following midnight.
WITH closes AS (
    SELECT session, close, adj_close, adjustment
    FROM bar
    WHERE instrument = $instrument AND interval = '1d'
),
local_rate AS (SELECT available_at, rate FROM fx_rate WHERE currency = $currency),
base_rate AS (SELECT available_at, rate FROM fx_rate WHERE currency = $base)
SELECT
    d.day,
    c.session,
    c.close,
    c.adj_close,
    c.adjustment,
    CASE WHEN $currency = $base THEN 1
         ELSE (CASE WHEN $base = 'USD' THEN 1 ELSE b.rate END)
              / (CASE WHEN $currency = 'USD' THEN 1 ELSE l.rate END)
    END AS fx
FROM (SELECT day, day + INTERVAL 1 DAY AS day_end FROM days) AS d
ASOF LEFT JOIN closes AS c ON d.day >= c.session
ASOF LEFT JOIN local_rate AS l ON d.day_end >= l.available_at
ASOF LEFT JOIN base_rate AS b ON d.day_end >= b.available_at
ORDER BY d.day
