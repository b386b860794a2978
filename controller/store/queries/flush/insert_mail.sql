insert into mail (shard, run_id, mail_id, root_id, sender_id, body)
select * from unnest($1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::bytea[])
on conflict do nothing
