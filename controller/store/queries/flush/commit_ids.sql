-- `ours`: runs that carry the commit's id, or whose timeline holds its last event. `behind`: runs that never got to
-- its version. Either kind speaks for the whole batch.
select
  count(*) filter (where r.commit_id = w.commit_id or e.hash = w.chain) as "ours!",
  count(*) filter (where r.version is null or r.version < w.version) as "behind!"
from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[], $6::bytea[])
  as w(shard, run_id, commit_id, version, last_seq, chain)
left join lateral (
  select * from runs where runs.shard = w.shard and runs.run_id = w.run_id offset 0
) r on true
left join lateral (
  select hash from events where events.shard = w.shard and events.stream = w.run_id and events.seq = w.last_seq offset 0
) e on true
