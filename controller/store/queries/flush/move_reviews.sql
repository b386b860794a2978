-- Found by key, changed by place.
update reviews
set state = w.state, closed_at = case when w.state = 'closed' then now() end
from (
  select w.state, t.place from unnest($1::smallint[], $2::uuid[], $3::review_state[]) as w(shard, review_id, state)
  cross join lateral (
    select ctid as place from reviews
    where reviews.shard = w.shard and reviews.review_id = w.review_id and reviews.state <> 'closed'
    for update
  ) t
) w
where reviews.ctid = w.place
