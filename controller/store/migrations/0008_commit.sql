-- Why: what nearly every flush writes (runs, their timelines, payloads, answered requests, tasks made and done) goes in by
-- one call, checked as it is written: one round trip, and where nothing else is to be written one statement is the whole
-- transaction. Plans are kept and always go by index, whatever the statistics of a young table say.
--
-- A version of this function is never changed once released: a controller calls the one it was built with. A new one
-- gets a new name, and the old one is dropped a release later.

-- A closing run must stay on its page, so no index may speak of `closed_at`: retention, which asks once a day whether a
-- span of births has an open run, reads the span.
drop index runs_open;
create or replace function fulcrum_log_day(day date) returns boolean
language plpgsql strict as $$
declare
  low  uuid := fulcrum_day_floor(day);
  high uuid := fulcrum_day_floor(day + 1);
begin
  if exists (select from fulcrum_runs_born(low, high) where closed_at is null) then
    return false;
  end if;
  insert into dropped_days (day, runs, root_hash)
    select day, count(*), sha256(coalesce(string_agg(chain, ''::bytea order by run_id), ''::bytea))
    from fulcrum_runs_born(low, high)
    on conflict do nothing;
  return true;
end
$$;

-- Requests expire in the order in which they came: a summary of pages finds them, and costs an insert nothing.
drop index requests_expiry;
create index requests_expiry on requests using brin (expires_at) with (pages_per_range = 16, autosummarize = on);

-- Writes the winners of a batch, or nothing: `committed` is false if a run is not where it was when it was decided on, a
-- task to remove is not held under its fence, or a new run, its key or a request id is somebody else's already.
-- Rows come sorted, so that two batches wait for each other in one order: runs, tasks, requests, new runs.
create function fulcrum_commit_1(
  -- Runs that exist: where each must stand, and where it stands then.
  u_shard smallint[], u_run uuid[], u_expected bigint[], u_before bytea[], u_status run_status[], u_version bigint[],
  u_last_seq bigint[], u_chain bytea[], u_commit uuid[], u_closed timestamptz[],
  -- Tasks to remove; those with a nonce only from that lease.
  x_shard smallint[], x_task uuid[], x_seq bigint[], x_nonce uuid[], x_worker uuid[],
  -- Answered requests.
  q_shard smallint[], q_namespace uuid[], q_id text[], q_digest bytea[], q_run uuid[], q_answer bytea[],
  -- New runs.
  n_shard smallint[], n_run uuid[], n_namespace uuid[], n_root uuid[], n_parent uuid[], n_workflow text[],
  n_definition bytea[], n_status run_status[], n_version bigint[], n_last_seq bigint[], n_chain bytea[],
  n_commit uuid[], n_started timestamptz[], n_closed timestamptz[], n_key text[],
  -- Timelines.
  e_shard smallint[], e_stream uuid[], e_seq bigint[], e_kind smallint[], e_schema smallint[], e_body bytea[],
  e_hash bytea[],
  -- Payloads.
  p_shard smallint[], p_id uuid[], p_hash bytea[], p_encoding text[], p_data bytea[],
  -- Tasks to make; those with a worker are leased to it at once.
  t_shard smallint[], t_task uuid[], t_run uuid[], t_root uuid[], t_namespace uuid[], t_step text[],
  t_capability text[], t_contract bytea[], t_input uuid[], t_input_hash bytea[], t_input_bytes bigint[],
  t_trace bytea[], t_priority smallint[], t_ready_at timestamptz[], t_attempt integer[],
  t_schedule_to_start_ms bigint[], t_start_to_close_ms bigint[], t_worker uuid[], t_nonce uuid[], t_lease_ms bigint[],
  out committed boolean, out moment timestamptz, out xid text, out leased uuid[], out lease_seqs bigint[])
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
  n bigint;
begin
  committed := true;
  if cardinality(u_run) > 0 then
    update runs
    set status = u.status, version = u.version, last_seq = u.last_seq, chain = u.chain, commit_id = u.commit_id,
        closed_at = u.closed_at
    from (
      select u.*, r.place
      from unnest(u_shard, u_run, u_expected, u_before, u_status, u_version, u_last_seq, u_chain, u_commit, u_closed)
        as u(shard, run_id, expected, before, status, version, last_seq, chain, commit_id, closed_at)
      cross join lateral (
        select ctid as place from runs
        where runs.shard = u.shard and runs.run_id = u.run_id and runs.version = u.expected
          and runs.chain = u.before
        offset 0
      ) r
    ) u
    where runs.ctid = u.place;
    get diagnostics n = row_count;
    if n <> cardinality(u_run) then
      raise sqlstate 'FU001';
    end if;
  end if;
  moment := clock_timestamp();
  if cardinality(x_task) > 0 then
    if array_position(x_nonce, null) is null then
      delete from tasks
      using (
        select t.place
        from unnest(x_shard, x_task, x_seq, x_nonce, x_worker) as x(shard, task_id, lease_seq, lease_nonce, worker_id)
        cross join lateral (
          select ctid as place from tasks
          where tasks.shard = x.shard and tasks.task_id = x.task_id and tasks.state = 'leased'
            and tasks.lease_seq = x.lease_seq and tasks.lease_nonce = x.lease_nonce and tasks.worker_id = x.worker_id
          offset 0
        ) t
      ) x
      where tasks.ctid = x.place;
      get diagnostics n = row_count;
      if n <> cardinality(x_task) then
        raise sqlstate 'FU001';
      end if;
    else
      -- What is removed whoever holds it must not escape by a heartbeat: locked first.
      with gone as (
        delete from tasks
        using (
          select x.lease_nonce, t.place
          from unnest(x_shard, x_task, x_seq, x_nonce, x_worker)
            as x(shard, task_id, lease_seq, lease_nonce, worker_id)
          cross join lateral (
            select ctid as place from tasks
            where tasks.shard = x.shard and tasks.task_id = x.task_id
              and (x.lease_nonce is null
                or (tasks.state = 'leased' and tasks.lease_seq = x.lease_seq and tasks.lease_nonce = x.lease_nonce
                  and tasks.worker_id = x.worker_id))
            for update
          ) t
        ) x
        where tasks.ctid = x.place
        returning x.lease_nonce
      )
      select count(lease_nonce) into n from gone;
      if n <> cardinality(array_remove(x_nonce, null)) then
        raise sqlstate 'FU001';
      end if;
    end if;
  end if;
  if cardinality(q_id) > 0 then
    insert into requests (shard, namespace_id, request_id, digest, run_id, answer)
    select * from unnest(q_shard, q_namespace, q_id, q_digest, q_run, q_answer)
    on conflict do nothing;
    get diagnostics n = row_count;
    if n <> cardinality(q_id) then
      raise sqlstate 'FU001';
    end if;
  end if;
  if cardinality(n_run) > 0 then
    insert into runs (
      shard, run_id, namespace_id, root_id, parent_id, workflow, definition, status, version, last_seq, chain, commit_id,
      started_at, closed_at, idempotency_key)
    select * from unnest(
      n_shard, n_run, n_namespace, n_root, n_parent, n_workflow, n_definition, n_status, n_version, n_last_seq, n_chain,
      n_commit, n_started, n_closed, n_key)
    on conflict do nothing;
    get diagnostics n = row_count;
    if n <> cardinality(n_run) then
      raise sqlstate 'FU001';
    end if;
  end if;
  if cardinality(e_seq) > 0 then
    insert into events (shard, stream, seq, kind, schema, body, hash)
    select * from unnest(e_shard, e_stream, e_seq, e_kind, e_schema, e_body, e_hash);
  end if;
  if cardinality(p_id) > 0 then
    -- A payload's id is derived from what made it: the same id is the same content.
    insert into payloads (shard, payload_id, hash, encoding, data)
    select * from unnest(p_shard, p_id, p_hash, p_encoding, p_data)
    on conflict do nothing;
  end if;
  if cardinality(t_task) > 0 then
    -- A task that exists is offered anew; its grants go on counting, so that no old lease fits.
    with made as (
      insert into tasks (
        shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes,
        trace, state, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, close_left_ms,
        lease_seq, lease_nonce, worker_id, granted_at, lease_until, close_by, due_at)
      select
        t.shard, t.task_id, t.run_id, t.root_id, t.namespace_id, t.step, t.capability, t.contract, t.input_id,
        t.input_hash, t.input_bytes, t.trace,
        case when t.worker_id is null then 'ready'::task_state else 'leased' end,
        t.priority, t.ready_at, t.attempt, t.schedule_to_start_ms, t.start_to_close_ms, t.start_to_close_ms,
        case when t.worker_id is null then 0 else 1 end,
        t.lease_nonce, t.worker_id,
        case when t.worker_id is not null then moment end,
        moment + t.lease_ms * interval '1 millisecond',
        case when t.worker_id is not null then moment + t.start_to_close_ms * interval '1 millisecond' end,
        case when t.worker_id is null then t.ready_at + t.schedule_to_start_ms * interval '1 millisecond'
          else moment + least(t.lease_ms, t.start_to_close_ms) * interval '1 millisecond' end
      from unnest(
        t_shard, t_task, t_run, t_root, t_namespace, t_step, t_capability, t_contract, t_input, t_input_hash,
        t_input_bytes, t_trace, t_priority, t_ready_at, t_attempt, t_schedule_to_start_ms, t_start_to_close_ms,
        t_worker, t_nonce, t_lease_ms)
        as t(shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash,
          input_bytes, trace, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, worker_id,
          lease_nonce, lease_ms)
      on conflict (shard, task_id) do update set
        run_id = excluded.run_id, root_id = excluded.root_id, namespace_id = excluded.namespace_id,
        step = excluded.step, capability = excluded.capability, contract = excluded.contract,
        input_id = excluded.input_id, input_hash = excluded.input_hash, input_bytes = excluded.input_bytes,
        trace = excluded.trace, state = excluded.state, priority = excluded.priority, ready_at = excluded.ready_at,
        attempt = excluded.attempt, crash_count = 0, schedule_to_start_ms = excluded.schedule_to_start_ms,
        start_to_close_ms = excluded.start_to_close_ms, close_left_ms = excluded.close_left_ms,
        lease_seq = tasks.lease_seq + excluded.lease_seq,
        lease_nonce = coalesce(excluded.lease_nonce, tasks.lease_nonce),
        worker_id = coalesce(excluded.worker_id, tasks.worker_id),
        granted_at = coalesce(excluded.granted_at, tasks.granted_at),
        lease_until = excluded.lease_until, close_by = excluded.close_by, due_at = excluded.due_at
      returning tasks.task_id, tasks.lease_seq, tasks.state
    )
    select array_agg(task_id), array_agg(lease_seq) into leased, lease_seqs from made where state = 'leased';
  end if;
  xid := pg_current_xact_id()::text;
exception
  -- The block is a subtransaction: nothing of a batch that does not fit is left, and the server logs no error.
  when sqlstate 'FU001' then
    committed := false;
    moment := clock_timestamp();
end
$$;
