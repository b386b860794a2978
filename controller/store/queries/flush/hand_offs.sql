-- Hand-offs of a commit whose answer was lost, as far as they still stand.
select
  clock_timestamp() as "now!: At", t.task_id as "task_id?", t.lease_seq as "lease_seq?",
  t.granted_at as "granted_at?: At"
from (select) as one
left join lateral (
  select t.task_id, t.lease_seq, t.granted_at
  from unnest($1::smallint[], $2::uuid[], $3::uuid[]) as w(shard, task_id, lease_nonce)
  cross join lateral (
    select * from tasks
    where tasks.shard = w.shard and tasks.task_id = w.task_id and tasks.state = 'leased'
      and tasks.lease_nonce = w.lease_nonce
    offset 0
  ) t
) t on true
