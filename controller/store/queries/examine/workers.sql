select count(*) as "registered!",
  count(*) filter (where w.last_seen_at > now() - $1::bigint * interval '1 ms') as "alive!"
from workers w
join identities i on i.identity_id = w.worker_id and i.status = 'active'
