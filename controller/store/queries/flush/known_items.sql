-- Items that closed before: a child is counted once.
select i.run_id as "run_id!", i.step as "step!", i.index as "index!"
from unnest($1::smallint[], $2::uuid[], $3::text[], $4::bigint[]) as w(shard, run_id, step, index)
cross join lateral (
  select run_id, step, index from join_items
  where join_items.shard = w.shard and join_items.run_id = w.run_id and join_items.step = w.step
    and join_items.index = w.index
  offset 0
) i
