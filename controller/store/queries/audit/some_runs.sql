select r.run_id, n.name as "namespace?", r.closed_at is not null as "closed!", r.last_seq, r.chain
from unnest($1::smallint[], $2::uuid[]) as w(shard, run_id)
join runs r using (shard, run_id)
left join namespaces n using (namespace_id)
order by r.shard, r.run_id
