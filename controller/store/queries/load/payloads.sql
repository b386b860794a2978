select p.payload_id as "payload_id!", p.hash as "hash!", p.encoding as "encoding!", p.data as "data!"
from unnest($1::smallint[], $2::uuid[]) as w(shard, payload_id)
cross join lateral (
  select * from payloads where payloads.shard = w.shard and payloads.payload_id = w.payload_id offset 0
) p
