SELECT instrument, starts_at, open, high, low, close, volume, adjustment
FROM bar
WHERE interval = $interval AND list_contains($instruments, instrument) AND session BETWEEN $start AND $end
ORDER BY instrument, starts_at
