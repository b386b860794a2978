-- Idempotency keys of the batch that runs hold, by their positions from 1.
select
  w.position as "position!",
  r.run_id as "held_by!"
from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[]) with ordinality
  as w(shard, namespace_id, workflow, idempotency_key, position)
cross join lateral (
  select run_id from runs
  where runs.shard = w.shard and runs.namespace_id = w.namespace_id and runs.workflow = w.workflow
    and runs.idempotency_key = w.idempotency_key
  offset 0
) r
