-- Found by key, changed by place.
update tasks
set state = 'ready', ready_at = w.now, due_at = w.now + schedule_to_start_ms * interval '1 millisecond'
from (
  select r.now, t.place
  from (select clock_timestamp() as now offset 0) r
  cross join unnest($1::smallint[], $2::uuid[]) as w(shard, task_id)
  cross join lateral (
    select ctid as place from tasks
    where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'parked'
    for update
  ) t
) w
where tasks.ctid = w.place
