-- By the primary key, whatever has happened to the other indexes.
select r.run_id, n.name as "namespace?", r.closed_at is not null as "closed!", r.last_seq, r.chain
from runs r left join namespaces n using (namespace_id)
where (r.shard, r.run_id) > ($1, $2)
order by r.shard, r.run_id
limit $3
