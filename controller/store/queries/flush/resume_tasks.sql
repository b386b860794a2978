update tasks
set state = 'ready', ready_at = r.now, due_at = r.now + schedule_to_start_ms * interval '1 millisecond'
from unnest($1::smallint[], $2::uuid[]) as w(shard, task_id), (select clock_timestamp() as now offset 0) r
where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'parked'
