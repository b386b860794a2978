update reviews
set state = w.state, closed_at = case when w.state = 'closed' then now() end
from unnest($1::smallint[], $2::uuid[], $3::review_state[]) as w(shard, review_id, state)
where reviews.shard = w.shard and reviews.review_id = w.review_id and reviews.state <> 'closed'
