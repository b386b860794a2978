-- Hot tables that hold something: after a change of the schema the planner looks at them anew.
select relname::text as "name!"
from pg_stat_user_tables
where schemaname = (select n.nspname from pg_namespace n join pg_class c on c.relnamespace = n.oid where c.oid = 'runs'::regclass)
  and relname in ('runs', 'tasks', 'timers', 'mail', 'joins', 'join_items', 'requests', 'snapshots', 'reviews')
  and n_live_tup > 0
order by 1
