-- Offered again from `ready_at` on, with all of its time to close. Found by key, changed by place.
update tasks
set state = 'ready', ready_at = w.ready_at, attempt = w.attempt, crash_count = w.crash_count,
    close_left_ms = start_to_close_ms, lease_until = null, close_by = null,
    due_at = w.ready_at + schedule_to_start_ms * interval '1 millisecond'
from (
  select w.ready_at, w.attempt, w.crash_count, t.place
  from unnest($1::smallint[], $2::uuid[], $3::timestamptz[], $4::integer[], $5::integer[])
    as w(shard, task_id, ready_at, attempt, crash_count)
  cross join lateral (
    select ctid as place from tasks where tasks.shard = w.shard and tasks.task_id = w.task_id for update
  ) t
) w
where tasks.ctid = w.place
