insert into snapshots (shard, run_id, seq, chain, state)
select * from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bytea[], $5::bytea[])
on conflict (shard, run_id) do update set seq = excluded.seq, chain = excluded.chain, state = excluded.state
