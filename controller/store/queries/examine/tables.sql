select relname::text as "name!", pg_total_relation_size(relid)::bigint as "bytes!", n_live_tup::bigint as "live!", n_dead_tup::bigint as "dead!"
from pg_stat_user_tables
where relname in ('runs', 'tasks', 'timers', 'mail', 'joins', 'join_items', 'requests', 'snapshots', 'reviews')
  and schemaname = (select n.nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid where c.oid = 'runs'::regclass)
order by 1
