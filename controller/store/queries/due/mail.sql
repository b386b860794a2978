select mail_id, run_id, root_id, sender_id, body, sent_at as "sent_at: At"
from mail
where sent_at <= now() - $1::bigint * interval '1 millisecond'
  and (sent_at, mail_id) > (coalesce($3::timestamptz, '-infinity'), coalesce($4::uuid, '00000000-0000-0000-0000-000000000000'))
order by sent_at, mail_id
limit $2
