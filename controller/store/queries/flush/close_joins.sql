-- The parent is done with them: rows and items go.
with w as (
  select * from unnest($1::smallint[], $2::uuid[], $3::text[]) as w(shard, run_id, step)
), items as (
  delete from join_items using w
  where join_items.shard = w.shard and join_items.run_id = w.run_id and join_items.step = w.step
)
delete from joins using w
where joins.shard = w.shard and joins.run_id = w.run_id and joins.step = w.step
