delete from controllers where last_seen_at < now() - interval '1 day'
