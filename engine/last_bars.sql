SELECT instrument, max(session)
FROM bar
WHERE interval = $interval AND list_contains($instruments, instrument)
GROUP BY instrument
ORDER BY instrument
