-- A row that does not come back was inserted by somebody else meanwhile: the flush starts over.
insert into requests (shard, namespace_id, request_id, digest, run_id, answer)
select * from unnest($1::smallint[], $2::uuid[], $3::text[], $4::bytea[], $5::uuid[], $6::bytea[])
  as r(shard, namespace_id, request_id, digest, run_id, answer)
order by shard, namespace_id, request_id
on conflict do nothing
