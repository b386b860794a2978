-- Leases the tasks that the claim has locked. All times are the database's. Found by key, changed by place.
update tasks
set state = 'leased', lease_seq = lease_seq + 1, lease_nonce = gen_random_uuid(), worker_id = w.worker_id,
    granted_at = now(), lease_until = now() + $4::bigint * interval '1 millisecond',
    close_by = now() + close_left_ms * interval '1 millisecond',
    due_at = now() + least($4::bigint, close_left_ms) * interval '1 millisecond'
from (
  select w.worker_id, t.place from unnest($1::smallint[], $2::uuid[], $3::uuid[]) as w(shard, task_id, worker_id)
  cross join lateral (
    select ctid as place from tasks where tasks.shard = w.shard and tasks.task_id = w.task_id offset 0
  ) t
) w
where tasks.ctid = w.place
returning
  tasks.task_id, lease_seq, lease_nonce as "lease_nonce!", tasks.worker_id as "worker_id!",
  lease_until as "lease_until!: At", granted_at as "granted_at!: At", ready_at as "ready_at: At", namespace_id, run_id,
  root_id, step, capability, contract, input_id, input_hash, input_bytes, attempt, close_by as "close_by?: At", trace
