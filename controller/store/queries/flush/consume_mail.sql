-- A run consumes only what was sent to it.
delete from mail
using unnest($1::smallint[], $2::uuid[], $3::uuid[]) as w(shard, mail_id, run_id)
where mail.shard = w.shard and mail.mail_id = w.mail_id and mail.run_id = w.run_id
