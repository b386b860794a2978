-- Runs that wait for a worker that does not exist, newest first: from what is offered to nobody to its runs, so that the
-- cost follows what is stuck. Capabilities on offer are found one index probe each.
with recursive offered as (
  (
    select capability from tasks where namespace_id = $1 and state = 'ready' order by capability limit 1
  )
  union all
  select (
    select t.capability from tasks t
    where t.namespace_id = $1 and t.state = 'ready' and t.capability > offered.capability
    order by t.capability
    limit 1
  )
  from offered
  where offered.capability is not null
),
stranded as (
  select o.capability from offered o
  where o.capability is not null and not exists (
    select from worker_capabilities c
    join workers k on k.worker_id = c.worker_id and k.last_seen_at >= now() - $2::bigint * interval '1 millisecond'
    join identities a on a.identity_id = c.worker_id and a.status = 'active'
    where c.namespace_id = $1 and c.capability = o.capability
  )
),
stuck as (
  select distinct t.shard, t.run_id from stranded s
  cross join lateral (
    select shard, run_id from tasks
    where tasks.namespace_id = $1 and tasks.capability = s.capability and tasks.state = 'ready'
      and tasks.ready_at <= now()
    offset 0
  ) t
)
select
  r.namespace_id as "namespace_id!", r.run_id as "run_id!", r.root_id as "root_id!", r.parent_id,
  r.workflow as "workflow!", r.definition as "definition!", r.status as "status!: RunStatusColumn",
  r.version as "version!", r.last_seq as "last_seq!", r.chain as "chain!", r.started_at as "started_at!: At",
  r.closed_at as "closed_at: At", r.idempotency_key
from stuck
cross join lateral (
  select * from runs where runs.shard = stuck.shard and runs.run_id = stuck.run_id offset 0
) r
where r.run_id >= $3 and r.run_id <= $4
  and ($5::uuid is null or r.run_id < $5)
  and ($6::text is null or r.workflow = $6)
  and (cardinality($7::run_status[]) = 0 or r.status = any ($7))
  and ($8::uuid is null or r.parent_id = $8)
  and ($9::boolean is false or r.parent_id is null)
order by r.run_id desc
limit $10
