-- What is due, what is ready, what has changed and who is there: a probe of an index each, and a look at the few
-- controllers. Who asks is noted as seen every few seconds, so that whoever follows it knows for how long workers were
-- without a controller; who was silent for too long has to sign in instead, where the feature level is looked at.
with noted as (
  update controllers set last_seen_at = now()
  where controller_id = $1 and last_seen_at < now() - interval '5 seconds' and last_seen_at > now() - interval '40 seconds'
  returning controller_id
)
select
  clock_timestamp() as "now!: At",
  (select min(due_at) from tasks where due_at <= now() + $2::bigint * interval '1 ms') as "task_due?: At",
  (select min(fires_at) from timers where fires_at <= now() + $2::bigint * interval '1 ms') as "timer_due?: At",
  exists (select from mail where sent_at <= now() - $3::bigint * interval '1 ms') as "mail_lies!",
  array(
    select w.position
    from unnest($4::uuid[], $5::text[]) with ordinality as w(namespace_id, capability, position)
    cross join lateral (
      select from tasks
      where tasks.namespace_id = w.namespace_id and tasks.capability = w.capability and tasks.state = 'ready'
        and tasks.ready_at <= now()
      limit 1
    ) t
    order by w.position
  ) as "ready!",
  coalesce((select identity_revision from installation), 0) as "identities!",
  coalesce((select catalogue_revision from installation), 0) as "catalogue!",
  (
    select count(*) from controllers
    where controller_id is distinct from $1 and last_seen_at > now() - $6::bigint * interval '1 ms'
  ) as "others!",
  exists (select from controllers where controller_id = $1 and last_seen_at > now() - interval '40 seconds') as "attends!",
  exists (select from noted) as "noted!"
