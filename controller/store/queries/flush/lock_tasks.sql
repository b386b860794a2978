-- Locks every task that the batch looks at or changes, in order, and tells who holds it and whether its instant has
-- passed. A heartbeat moves only `lease_until`, so the instant of a leased task is read from its limits, as the reaper
-- does.
select
  t.task_id as "task_id!",
  t.state as "state!: TaskStateColumn",
  t.lease_seq as "lease_seq!",
  t.lease_nonce as "lease_nonce?",
  t.worker_id as "worker_id?",
  coalesce(case when t.state = 'leased' then least(t.lease_until, t.close_by) else t.due_at end <= now(), false)
    as "is_due!"
from (
  select * from unnest($1::smallint[], $2::uuid[]) as w(shard, task_id) order by shard, task_id
) w
cross join lateral (
  select task_id, state, lease_seq, lease_nonce, worker_id, lease_until, close_by, due_at
  from tasks
  where tasks.shard = w.shard and tasks.task_id = w.task_id
  for update
) t
