-- Coarse: a row that is fresh enough is left alone.
update workers
set last_seen_at = now()
where worker_id = any ($1) and last_seen_at < now() - interval '20 seconds'
