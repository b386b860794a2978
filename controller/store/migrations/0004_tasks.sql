-- Why: tasks are the hottest rows of all: made, claimed, renewed and removed within seconds. They are narrow (the
-- input is a reference), leave room on their page, and are vacuumed eagerly. A heartbeat moves only `lease_until`,
-- which no index covers; `due_at` may lag behind it and is put right by the reaper when it looks.

create type task_state as enum ('ready', 'leased', 'parked');

create table tasks (
  shard                smallint    not null,
  task_id              uuid        not null,
  run_id               uuid        not null,
  root_id              uuid        not null,
  namespace_id         uuid        not null,
  step                 text        not null,
  capability           text        not null,
  contract             bytea,
  input_id             uuid        not null,
  input_hash           bytea       not null,
  input_bytes          bigint      not null,
  trace                bytea,
  state                task_state  not null,
  priority             smallint    not null,
  ready_at             timestamptz not null,
  attempt              integer     not null,
  crash_count          integer     not null default 0,
  schedule_to_start_ms bigint,
  start_to_close_ms    bigint,
  -- What is left of start_to_close for the next grant: parking stops the clock.
  close_left_ms        bigint,
  -- Grants so far, and the last one.
  lease_seq            bigint      not null default 0,
  lease_nonce          uuid,
  worker_id            uuid,
  granted_at           timestamptz,
  lease_until          timestamptz,
  close_by             timestamptz,
  -- No later than the next instant at which the reaper must look; null when there is nothing to watch.
  due_at               timestamptz,
  constraint tasks_pkey primary key (shard, task_id),
  constraint tasks_contract_check check (octet_length(contract) = 32),
  constraint tasks_input_hash_check check (octet_length(input_hash) = 32),
  constraint tasks_lease_check check (
    state <> 'leased'
    or (lease_seq > 0 and lease_nonce is not null and worker_id is not null and granted_at is not null
        and lease_until is not null and due_at is not null))
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_analyze_scale_factor = 0.01,
        autovacuum_vacuum_cost_limit = 2000);

-- Predicate and order of the claim, exactly.
create index tasks_claim on tasks (namespace_id, capability, priority desc, ready_at, task_id) where state = 'ready';
create index tasks_due on tasks (due_at, task_id) where due_at is not null;
