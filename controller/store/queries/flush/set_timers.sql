insert into timers (shard, timer_id, run_id, root_id, step, purpose, fires_at)
select * from unnest(
  $1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::timer_purpose[], $7::timestamptz[])
on conflict (shard, timer_id) do update set fires_at = excluded.fires_at
