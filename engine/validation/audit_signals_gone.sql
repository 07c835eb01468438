-- Some later signals never come.
DELETE FROM signal USING untrue
WHERE signal.headline_id = untrue.headline_id AND signal.issuer = untrue.issuer AND signal.theme = untrue.theme
  AND signal.model_id = untrue.model_id AND signal.linker = untrue.linker AND untrue.gone
