-- Request ids of the batch that were answered before.
select
  r.shard, r.namespace_id, r.request_id, r.digest, r.run_id, r.answer
from unnest($1::smallint[], $2::uuid[], $3::text[]) as w(shard, namespace_id, request_id)
cross join lateral (
  select * from requests
  where requests.shard = w.shard and requests.namespace_id = w.namespace_id and requests.request_id = w.request_id
  offset 0
) r
