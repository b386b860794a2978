select b.payload_id as "payload_id!", b.encoding as "encoding!", b.data as "data?", b.object as "object?"
from unnest($1::smallint[], $2::uuid[]) as w(shard, payload_id)
cross join lateral (
  select * from blobs where blobs.shard = w.shard and blobs.payload_id = w.payload_id offset 0
) b
