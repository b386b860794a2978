insert into joins (shard, run_id, step, root_id, closed, failed, notify_at, notify_on_failure, announced)
select * from unnest(
  $1::smallint[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[],
  $9::bigint[])
on conflict (shard, run_id, step) do update set
  closed = excluded.closed, failed = excluded.failed, notify_at = excluded.notify_at,
  notify_on_failure = excluded.notify_on_failure, announced = excluded.announced
