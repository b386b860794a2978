-- A task that exists is offered anew; its grants go on counting, so that no old lease fits.
insert into tasks (
  shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes, trace,
  state, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, close_left_ms, due_at)
select
  shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes, trace,
  'ready', priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, start_to_close_ms,
  ready_at + schedule_to_start_ms * interval '1 millisecond'
from unnest(
  $1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::bytea[], $9::uuid[],
  $10::bytea[], $11::bigint[], $12::bytea[], $13::smallint[], $14::timestamptz[], $15::integer[], $16::bigint[],
  $17::bigint[])
  as t(shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes,
    trace, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms)
on conflict (shard, task_id) do update set
  run_id = excluded.run_id, root_id = excluded.root_id, namespace_id = excluded.namespace_id, step = excluded.step,
  capability = excluded.capability, contract = excluded.contract, input_id = excluded.input_id,
  input_hash = excluded.input_hash, input_bytes = excluded.input_bytes, trace = excluded.trace, state = 'ready',
  priority = excluded.priority, ready_at = excluded.ready_at, attempt = excluded.attempt, crash_count = 0,
  schedule_to_start_ms = excluded.schedule_to_start_ms, start_to_close_ms = excluded.start_to_close_ms,
  close_left_ms = excluded.close_left_ms, lease_until = null, close_by = null, due_at = excluded.due_at
