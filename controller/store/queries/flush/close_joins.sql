-- The parent is done with them: rows and items go. Found by key, deleted by place.
with w as (
  select * from unnest($1::smallint[], $2::uuid[], $3::text[]) as w(shard, run_id, step)
), items as (
  delete from join_items
  using (
    select t.place from w
    cross join lateral (
      select ctid as place from join_items
      where join_items.shard = w.shard and join_items.run_id = w.run_id and join_items.step = w.step
      for update
    ) t
  ) t
  where join_items.ctid = t.place
)
delete from joins
using (
  select t.place from w
  cross join lateral (
    select ctid as place from joins
    where joins.shard = w.shard and joins.run_id = w.run_id and joins.step = w.step
    for update
  ) t
) t
where joins.ctid = t.place
