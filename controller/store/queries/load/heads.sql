select
  r.namespace_id as "namespace_id!", r.run_id as "run_id!", r.root_id as "root_id!", r.parent_id as "parent_id?",
  r.workflow as "workflow!", r.definition as "definition!", r.status as "status!: RunStatusColumn",
  r.version as "version!", r.last_seq as "last_seq!", r.chain as "chain!",
  r.started_at as "started_at!: At", r.closed_at as "closed_at?: At", r.idempotency_key as "idempotency_key?"
from unnest($1::smallint[], $2::uuid[]) with ordinality as w(shard, run_id, position)
cross join lateral (
  select * from runs where runs.shard = w.shard and runs.run_id = w.run_id offset 0
) r
order by w.position
