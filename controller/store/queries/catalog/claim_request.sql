-- The first call under a request id holds its row until it commits; a call that repeats it waits here, then finds it.
-- What is about no run is kept under shard 0 and no run.
insert into requests (shard, namespace_id, request_id, digest, run_id, answer)
values (0, $1, $2, $3, '00000000-0000-0000-0000-000000000000', '')
on conflict do nothing
