-- Hot tables that have at least doubled, or lost half, since the planner last looked at them: autovacuum comes by once
-- a minute, and a young table has outgrown its statistics by then. An empty table is left alone: the planner guesses
-- better about one that nobody has looked at than about one that was found empty.
select relname::text as "name!"
from pg_stat_user_tables
where schemaname = (select n.nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid where c.oid = 'runs'::regclass)
  and relname in ('runs', 'tasks', 'timers', 'mail', 'joins', 'join_items', 'requests', 'snapshots', 'reviews')
  and n_live_tup > 0 and n_mod_since_analyze > greatest(500, n_live_tup / 2)
order by 1
