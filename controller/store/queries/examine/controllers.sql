select controller_id as "id!", build as "build!", schema as "schema!", level_max as "level_max!",
  (extract(epoch from now() - last_seen_at) * 1000)::bigint as "silent_ms!"
from controllers
order by last_seen_at desc
limit 100
