-- Tasks whose instant has passed. A lease renewed since `due_at` was set is not due: its instant is put right instead.
with looked as (
  select * from tasks
  where due_at <= now()
  order by due_at, task_id
  limit $1
  for update skip locked
), moved as (
  update tasks
  set due_at = least(tasks.lease_until, tasks.close_by)
  from looked
  where tasks.shard = looked.shard and tasks.task_id = looked.task_id
    and looked.state = 'leased' and least(looked.lease_until, looked.close_by) > now()
)
select
  task_id as "task_id!", run_id as "run_id!", root_id as "root_id!", step as "step!",
  state as "state!: TaskStateColumn", attempt as "attempt!", lease_seq as "lease_seq!", lease_nonce as "lease_nonce?",
  worker_id as "worker_id?", granted_at as "granted_at?: At", crash_count as "crash_count!",
  lease_until as "lease_until?: At", close_by as "close_by?: At", due_at as "due_at!: At"
from looked
where state <> 'leased' or least(lease_until, close_by) <= now()
order by due_at, task_id
