-- The clock of start_to_close stops: what is left of it is kept for the next grant. `greatest` passes over a null, so
-- a task without a limit must not come near it. Found by key, changed by place.
update tasks
set state = 'parked', lease_until = null, close_by = null, due_at = null,
    close_left_ms = case when close_by is not null then
      greatest(0, extract(epoch from close_by - clock_timestamp()) * 1000)::bigint end
from (
  select t.place from unnest($1::smallint[], $2::uuid[]) as w(shard, task_id)
  cross join lateral (
    select ctid as place from tasks
    where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'leased'
    for update
  ) t
) w
where tasks.ctid = w.place
