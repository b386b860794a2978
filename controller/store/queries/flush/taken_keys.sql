-- Idempotency keys of the batch that other runs hold.
select
  w.run_id as "wanted_by!",
  r.run_id as "held_by!"
from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::uuid[])
  as w(shard, namespace_id, workflow, idempotency_key, run_id)
cross join lateral (
  select run_id from runs
  where runs.shard = w.shard and runs.namespace_id = w.namespace_id and runs.workflow = w.workflow
    and runs.idempotency_key = w.idempotency_key
  offset 0
) r
