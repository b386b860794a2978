delete from timers
using unnest($1::smallint[], $2::uuid[]) as w(shard, timer_id)
where timers.shard = w.shard and timers.timer_id = w.timer_id
