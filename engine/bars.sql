SELECT instrument, session, open, high, low, close, volume, adjustment
FROM bar
WHERE interval = '1d' AND list_contains($instruments, instrument) AND session BETWEEN $start AND $end
ORDER BY instrument, session
