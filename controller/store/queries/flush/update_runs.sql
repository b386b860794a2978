-- The rows are locked and their versions checked; what a run was started with never changes.
update runs
set status = w.status, version = w.version, last_seq = w.last_seq, chain = w.chain, commit_id = w.commit_id,
    closed_at = w.closed_at
from unnest(
  $1::smallint[], $2::uuid[], $3::run_status[], $4::bigint[], $5::bigint[], $6::bytea[], $7::uuid[], $8::timestamptz[])
  as w(shard, run_id, status, version, last_seq, chain, commit_id, closed_at)
where runs.shard = w.shard and runs.run_id = w.run_id
