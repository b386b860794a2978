insert into events (shard, stream, seq, kind, schema, body, hash)
select * from unnest(
  $1::smallint[], $2::uuid[], $3::bigint[], $4::smallint[], $5::smallint[], $6::bytea[], $7::bytea[])
