-- Newest first. A family, and all runs since an instant, are spans of ids.
select
  namespace_id, run_id, root_id, parent_id, workflow, definition, status as "status: RunStatusColumn", version, last_seq,
  chain, started_at as "started_at: At", closed_at as "closed_at: At", idempotency_key
from runs
where namespace_id = $1 and run_id >= $2 and run_id <= $3
  and ($4::uuid is null or run_id < $4)
  and ($5::text is null or workflow = $5)
  and (cardinality($6::run_status[]) = 0 or status = any ($6))
  and ($7::uuid is null or parent_id = $7)
  and ($8::boolean is false or parent_id is null)
order by run_id desc
limit $9
