-- Events after each run's snapshot, up to the head that was read before.
select
  e.stream as "stream!", e.seq as "seq!", e.kind as "kind!", e.schema as "schema!", e.body as "body!", e.hash as "hash!"
from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bigint[]) as w(shard, stream, after, upto)
cross join lateral (
  select * from events
  where events.shard = w.shard and events.stream = w.stream and events.seq > w.after and events.seq <= w.upto
  offset 0
) e
order by e.stream, e.seq
