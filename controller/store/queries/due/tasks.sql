-- Tasks whose instant has passed, behind a key. A lease renewed since `due_at` was set is not due: its instant is put
-- right instead.
with looked as (
  select *, ctid as place, state <> 'leased' or least(lease_until, close_by) <= now() as is_due
  from tasks
  where due_at <= now()
    and (due_at, task_id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
  order by due_at, task_id
  limit $1
  for update skip locked
), moved as (
  update tasks
  set due_at = least(tasks.lease_until, tasks.close_by)
  from looked
  where tasks.ctid = looked.place and not looked.is_due
)
select
  task_id as "task_id!", run_id as "run_id!", root_id as "root_id!", step as "step!",
  state as "state!: TaskStateColumn", attempt as "attempt!", lease_seq as "lease_seq!", lease_nonce as "lease_nonce?",
  worker_id as "worker_id?", granted_at as "granted_at?: At", crash_count as "crash_count!",
  lease_until as "lease_until?: At", close_by as "close_by?: At", due_at as "due_at!: At", is_due as "is_due!"
from looked
order by due_at, task_id
