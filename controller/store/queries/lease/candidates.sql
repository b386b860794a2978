-- The best ready tasks of each capability that anybody asks for; what others are just taking is skipped.
select
  t.shard as "shard!", t.task_id as "task_id!", w.namespace_id as "namespace_id!", w.capability as "capability!",
  t.priority as "priority!", t.ready_at as "ready_at!: At"
from unnest($1::uuid[], $2::text[], $3::bigint[]) as w(namespace_id, capability, slots)
cross join lateral (
  select shard, task_id, priority, ready_at
  from tasks
  where tasks.namespace_id = w.namespace_id and tasks.capability = w.capability and tasks.state = 'ready'
    and tasks.ready_at <= now()
  order by tasks.priority desc, tasks.ready_at, tasks.task_id
  limit w.slots
  for update skip locked
) t
