SELECT file || ' line ' || line || ': ' || reason FROM reject WHERE reason LIKE 'revised: %' ORDER BY file, line, reason
