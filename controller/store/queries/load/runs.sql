select
  r.namespace_id as "namespace_id!", r.run_id as "run_id!", r.root_id as "root_id!", r.parent_id as "parent_id?",
  r.workflow as "workflow!", r.definition as "definition!", r.status as "status!: RunStatusColumn",
  r.version as "version!", r.last_seq as "last_seq!", r.chain as "chain!", r.commit_id as "commit_id!",
  r.started_at as "started_at!: At", r.closed_at as "closed_at?: At", r.idempotency_key as "idempotency_key?",
  s.seq as "snapshot_seq?", s.chain as "snapshot_chain?", s.state as "snapshot_state?"
from unnest($1::smallint[], $2::uuid[]) as w(shard, run_id)
cross join lateral (
  select * from runs where runs.shard = w.shard and runs.run_id = w.run_id offset 0
) r
left join lateral (
  select * from snapshots where snapshots.shard = w.shard and snapshots.run_id = w.run_id offset 0
) s on true
