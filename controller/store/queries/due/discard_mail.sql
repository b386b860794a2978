-- Found by key, deleted by place.
delete from mail
using (
  select t.place from unnest($1::smallint[], $2::uuid[]) as w(shard, mail_id)
  cross join lateral (
    select ctid as place from mail where mail.shard = w.shard and mail.mail_id = w.mail_id for update
  ) t
) t
where mail.ctid = t.place
