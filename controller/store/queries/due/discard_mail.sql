delete from mail
using unnest($1::smallint[], $2::uuid[]) as w(shard, mail_id)
where mail.shard = w.shard and mail.mail_id = w.mail_id
