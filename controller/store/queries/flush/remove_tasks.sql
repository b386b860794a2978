delete from tasks
using unnest($1::smallint[], $2::uuid[]) as w(shard, task_id)
where tasks.shard = w.shard and tasks.task_id = w.task_id
