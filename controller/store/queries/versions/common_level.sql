-- The highest level that every live controller knows, and one that does not know more.
select level_max as "level_max!", build as "build!"
from controllers
where last_seen_at > now() - $1::bigint * interval '1 ms'
order by level_max, started_at
limit 1
