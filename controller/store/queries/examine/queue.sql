-- The oldest ready task may be anywhere in the claim's index: each capability's first one is looked at.
select
  (select count(*) from (select from tasks where state = 'ready' and ready_at <= now() limit 100001) t) as "ready!",
  (select (extract(epoch from now() - min(ready_at)) * 1000)::bigint
    from tasks where state = 'ready' and ready_at <= now()) as "oldest_ready_ms",
  (select count(*) from tasks where state = 'leased') as "leased!",
  (select count(*) from tasks where state = 'leased' and due_at < now() - interval '60 seconds') as "overdue!",
  (select count(*) from timers where fires_at < now() - interval '60 seconds') as "timers_late!",
  (select count(*) from mail where sent_at < now() - interval '60 seconds') as "mail_late!"
