-- How tasks stand now: who is on each and since when; for one that waits, how many could take it.
select
  t.task_id as "task_id!", t.state as "state!: TaskStateColumn", t.ready_at as "ready_at!: At",
  (t.ready_at <= now()) as "is_due!",
  t.worker_id as "worker_id?", t.granted_at as "granted_at?: At", i.name as "worker_name?",
  coalesce(s.registered, 0) as "registered!", coalesce(s.connected, 0) as "connected!"
from unnest($2::uuid[]) as w(task_id)
cross join lateral (
  select * from tasks where tasks.shard = $1 and tasks.task_id = w.task_id offset 0
) t
left join identities i on i.identity_id = t.worker_id
left join lateral (
  select
    count(*) as registered,
    count(*) filter (where k.last_seen_at >= now() - $3::bigint * interval '1 millisecond') as connected
  from worker_capabilities c
  join workers k on k.worker_id = c.worker_id
  join identities a on a.identity_id = c.worker_id and a.status = 'active'
  where c.namespace_id = t.namespace_id and c.capability = t.capability
) s on t.state = 'ready'
