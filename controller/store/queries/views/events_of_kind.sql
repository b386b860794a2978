-- Events of one kind of these runs, each with the hash of the event before it, which it must continue.
select
  e.stream as "stream!", e.seq as "seq!", e.kind as "kind!", e.schema as "schema!", e.body as "body!", e.hash as "hash!",
  p.hash as "previous?"
from unnest($1::smallint[], $2::uuid[]) as w(shard, stream)
cross join lateral (
  select * from events where events.shard = w.shard and events.stream = w.stream and events.kind = $3 offset 0
) e
left join lateral (
  select hash from events where events.shard = e.shard and events.stream = e.stream and events.seq = e.seq - 1 offset 0
) p on true
order by e.stream, e.seq
