-- A payload's id is derived from what made it: the same id is the same content, and what is there stays.
insert into blobs (shard, payload_id, hash, encoding, data, object)
select * from unnest($1::smallint[], $2::uuid[], $3::bytea[], $4::text[], $5::bytea[], $6::text[])
on conflict do nothing
