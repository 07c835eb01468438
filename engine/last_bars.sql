SELECT instrument, max(session)
FROM bar
WHERE interval = '1d' AND list_contains($instruments, instrument)
GROUP BY instrument
ORDER BY instrument
