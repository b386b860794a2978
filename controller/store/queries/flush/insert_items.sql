insert into join_items (shard, run_id, step, index, output_id, output_hash, output_bytes, failure)
select * from unnest(
  $1::smallint[], $2::uuid[], $3::text[], $4::bigint[], $5::uuid[], $6::bytea[], $7::bigint[], $8::bytea[])
on conflict do nothing
