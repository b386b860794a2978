-- A payload's id is derived from what made it: the same id is the same content.
insert into payloads (shard, payload_id, hash, encoding, data)
select * from unnest($1::smallint[], $2::uuid[], $3::bytea[], $4::text[], $5::bytea[])
on conflict do nothing
