-- Events of one kind of these runs, each with the hash of the event before it, which it must continue.
select
  e.stream as "stream!", e.seq as "seq!", e.kind as "kind!", e.schema as "schema!", e.body as "body!", e.hash as "hash!",
  e.previous as "previous?"
from (
  select w.stream, t.*, lag(t.hash) over (partition by w.stream order by t.seq) as previous
  from unnest($1::smallint[], $2::uuid[]) as w(shard, stream)
  cross join lateral fulcrum_timeline(w.shard, w.stream) t
) e
where e.kind = $3
order by e.stream, e.seq
