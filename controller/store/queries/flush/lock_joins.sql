-- Locks the joins that the batch changes, in order.
select
  j.run_id as "run_id!", j.step as "step!", j.closed as "closed!", j.failed as "failed!",
  j.notify_at as "notify_at!", j.notify_on_failure as "notify_on_failure!", j.announced as "announced!"
from (
  select * from unnest($1::smallint[], $2::uuid[], $3::text[]) as w(shard, run_id, step) order by shard, run_id, step
) w
cross join lateral (
  select * from joins
  where joins.shard = w.shard and joins.run_id = w.run_id and joins.step = w.step
  for update
) j
