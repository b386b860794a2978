-- Offers grants again that never reached their workers: what was left of the time to close is untouched, and no crash is
-- counted. Those that rest are not offered before that is over. Found by key, changed by place; rows are locked in order.
update tasks
set state = 'ready', lease_until = null, close_by = null,
    ready_at = w.ready_at, due_at = w.ready_at + schedule_to_start_ms * interval '1 millisecond'
from (
  select t.place, greatest(t.ready_at, now() + nullif($6::bigint, 0) * interval '1 millisecond') as ready_at
  from (
    select * from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[])
      as w(shard, task_id, lease_seq, lease_nonce, worker_id)
    order by shard, task_id
  ) w
  cross join lateral (
    select ctid as place, tasks.ready_at from tasks
    where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'leased'
      and tasks.lease_seq = w.lease_seq and tasks.lease_nonce = w.lease_nonce and tasks.worker_id = w.worker_id
    for update
  ) t
) w
where tasks.ctid = w.place
