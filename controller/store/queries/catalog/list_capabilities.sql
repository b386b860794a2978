-- In force for each capability is the newest contract that a worker in good standing serves, else the newest known.
select distinct on (c.capability)
  c.capability as "capability!", c.hash as "hash!", c.version as "version!", c.effect as "effect!: EffectClassColumn",
  c.body as "body!", c.first_seen_at as "first_seen_at!: At", c.first_seen_by as "first_seen_by!",
  s.serving as "serving!", s.last_seen_at as "last_seen_at?: At"
from capability_contracts c
left join lateral (
  select count(*) as serving, max(w.last_seen_at) as last_seen_at
  from worker_capabilities wc
  join workers w on w.worker_id = wc.worker_id
  join identities i on i.identity_id = wc.worker_id and i.status = 'active'
  where wc.namespace_id = c.namespace_id and wc.capability = c.capability and wc.contract_hash = c.hash
) s on true
where c.namespace_id = $1 and c.capability > $2 and ($3::text is null or c.capability = $3)
order by c.capability, (s.serving > 0) desc, c.first_seen_at desc, c.hash
limit $4
