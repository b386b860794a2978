-- Locks every task that the batch looks at or changes, in order, and tells who holds it.
select
  t.task_id as "task_id!",
  t.state as "state!: TaskStateColumn",
  t.lease_seq as "lease_seq!",
  t.lease_nonce as "lease_nonce?",
  t.worker_id as "worker_id?"
from (
  select * from unnest($1::smallint[], $2::uuid[]) as w(shard, task_id) order by shard, task_id
) w
cross join lateral (
  select task_id, state, lease_seq, lease_nonce, worker_id
  from tasks
  where tasks.shard = w.shard and tasks.task_id = w.task_id
  for update
) t
