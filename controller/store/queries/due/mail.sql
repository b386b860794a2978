select mail_id, run_id, root_id, sender_id, body
from mail
where sent_at <= now() - $1::bigint * interval '1 millisecond'
order by sent_at, mail_id
limit $2
