-- A row that is not inserted was made by somebody else meanwhile, or its key was taken: the flush starts over.
-- Keys first, then ids: two flushes wait for each other's keys in one order.
insert into runs (
  shard, run_id, namespace_id, root_id, parent_id, workflow, definition, status, version, last_seq, chain, commit_id,
  started_at, closed_at, idempotency_key)
select
  shard, run_id, namespace_id, root_id, parent_id, workflow, definition, status, version, last_seq, chain, commit_id,
  started_at, closed_at, idempotency_key
from unnest(
  $1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::bytea[], $8::run_status[],
  $9::bigint[], $10::bigint[], $11::bytea[], $12::uuid[], $13::timestamptz[], $14::timestamptz[], $15::text[])
  as r(shard, run_id, namespace_id, root_id, parent_id, workflow, definition, status, version, last_seq, chain,
    commit_id, started_at, closed_at, idempotency_key)
order by shard, namespace_id, workflow, idempotency_key, run_id
on conflict do nothing
