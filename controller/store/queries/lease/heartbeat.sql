-- Extends what is still held. Only `lease_until` moves, so the row stays on its page; `due_at` follows when the reaper
-- looks. Rows are locked in order, found by key and
-- changed by place.
with held as (
  select w.position, t.place
  from (
    select * from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::uuid[], $5::uuid[]) with ordinality
      as w(shard, task_id, lease_seq, lease_nonce, worker_id, position)
    order by shard, task_id
  ) w
  cross join lateral (
    select ctid as place from tasks
    where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'leased'
      and tasks.lease_seq = w.lease_seq and tasks.lease_nonce = w.lease_nonce and tasks.worker_id = w.worker_id
    for update
  ) t
)
update tasks
set lease_until = now() + $6::bigint * interval '1 millisecond'
from held
where tasks.ctid = held.place
returning held.position as "position!", lease_until as "lease_until!: At"
