-- Locks the runs of a batch in order and tells where each stands; no row but the clock for one that does not exist.
select
  clock_timestamp() as "now!: At",
  pg_current_xact_id()::text as "xid!",
  w.run_id as "run_id!",
  r.version as "version?",
  r.chain as "chain?"
from (
  select * from unnest($1::smallint[], $2::uuid[]) as w(shard, run_id) order by shard, run_id
) w
left join lateral (
  select version, chain from runs where runs.shard = w.shard and runs.run_id = w.run_id for update
) r on true
