-- Found by key, deleted by place: the planner may not turn the loop around and read the whole table, whatever it thinks
-- of its size.
delete from timers
using (
  select t.place from unnest($1::smallint[], $2::uuid[]) as w(shard, timer_id)
  cross join lateral (
    select ctid as place from timers where timers.shard = w.shard and timers.timer_id = w.timer_id for update
  ) t
) t
where timers.ctid = t.place
