-- Why: a row costs what its table, its index and its statement cost, whatever is in it. From feature level 2 on, what a
-- commit adds to a timeline is one row, and what is made for the first time is written without asking whether it exists.

-- The events of a run, one by one, however they lie: a row for each, or several in a bundle. A bundle's `kind` is -1, its
-- `schema` the number of its events, its `seq` and `hash` those of the last; its body is one entry after the other: kind
-- and schema (16 bits each), the length of the body (32 bits), hash, body; numbers with their highest byte first.
create function fulcrum_timeline(of_shard smallint, of_stream uuid)
returns table (seq bigint, kind smallint, schema smallint, body bytea, hash bytea)
language plpgsql stable strict
set enable_seqscan = off
as $$
declare
  entry  record;
  packed bytea;
  place  integer;
  bytes  integer;
begin
  for entry in
    select e.seq, e.kind, e.schema, e.body, e.hash from events e
    where e.shard = of_shard and e.stream = of_stream
    order by e.seq
  loop
    if entry.kind >= 0 then
      seq := entry.seq;
      kind := entry.kind;
      schema := entry.schema;
      body := entry.body;
      hash := entry.hash;
      return next;
    else
      -- Unpacked once. What is not there cannot be told; whoever counts will miss it.
      packed := entry.body || ''::bytea;
      place := 0;
      for nth in 1 .. entry.schema loop
        exit when place + 40 > octet_length(packed);
        seq := entry.seq - entry.schema + nth;
        kind := get_byte(packed, place) << 8 | get_byte(packed, place + 1);
        schema := get_byte(packed, place + 2) << 8 | get_byte(packed, place + 3);
        bytes := get_byte(packed, place + 4) << 24 | get_byte(packed, place + 5) << 16
          | get_byte(packed, place + 6) << 8 | get_byte(packed, place + 7);
        exit when bytes < 0 or bytes > octet_length(packed) - place - 40;
        hash := substr(packed, place + 9, 32);
        body := substr(packed, place + 41, bytes);
        place := place + 40 + bytes;
        return next;
      end loop;
    end if;
  end loop;
end
$$;

-- Where nobody has begun yet there is nobody who could not read it. Whoever is entering holds the row: looked for after.
do $$
begin
  perform from versions for update;
  update versions set feature_level = 2
  where feature_level = 1 and not exists (select from runs) and not exists (select from controllers);
end
$$;

-- Most runs close in the commit after the one that made them, together with those beside them: half of a page is left for
-- that, so that it touches no index.
alter table runs set (fillfactor = 50);

-- `fulcrum_commit_2`, which first takes it for granted that nothing of what is made exists. If something does, nothing is
-- written, and whoever called looks, and calls again with care.
create function fulcrum_commit_3(
  -- Nothing that is made is expected to exist, unless somebody has looked.
  careful boolean,
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
  t_task uuid[], t_run uuid[], t_root uuid[], t_namespace uuid[], t_step text[],
  t_capability text[], t_contract bytea[], t_input uuid[], t_input_hash bytea[], t_input_bytes bigint[],
  t_trace bytea[], t_priority smallint[], t_ready_at timestamptz[], t_attempt integer[],
  t_schedule_to_start_ms bigint[], t_start_to_close_ms bigint[], t_worker uuid[], t_nonce uuid[], t_lease_ms bigint[],
  -- Consumed mail, and by whom.
  d_mail uuid[], d_run uuid[],
  -- Outgoing mail.
  m_mail uuid[], m_run uuid[], m_root uuid[], m_sender uuid[], m_body bytea[],
  -- Joins that begin.
  o_run uuid[], o_step text[], o_root uuid[], o_notify_at bigint[], o_on_failure boolean[],
  -- Joins that come further: how many children more closed and failed, at how many closed the parent wants to hear, and
  -- the mail in which it does (all but the two counts, which come last in its body).
  j_run uuid[], j_step text[], j_closed bigint[], j_failed bigint[], j_notify_at bigint[], j_sender uuid[],
  j_mail uuid[], j_body bytea[],
  -- Closed children: the join's place in the list above, and how they closed.
  i_join integer[], i_index bigint[], i_output uuid[], i_hash bytea[], i_bytes bigint[], i_failure bytea[],
  -- Joins that their parents are done with.
  g_run uuid[], g_step text[],
  -- Snapshots.
  s_run uuid[], s_seq bigint[], s_chain bytea[], s_state bytea[],
  -- `told` are places in the list of joins whose parents are told, with the counts that they are told.
  out committed boolean, out moment timestamptz, out xid text, out leased uuid[], out lease_seqs bigint[],
  out told integer[], out told_closed bigint[], out told_failed bigint[])
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set enable_bitmapscan = off
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
    if careful then
      -- A payload's id is derived from what made it: the same id is the same content.
      insert into payloads (shard, payload_id, hash, encoding, data)
      select * from unnest(p_shard, p_id, p_hash, p_encoding, p_data)
      on conflict do nothing;
    else
      insert into payloads (shard, payload_id, hash, encoding, data)
      select * from unnest(p_shard, p_id, p_hash, p_encoding, p_data);
    end if;
  end if;
  if cardinality(t_task) > 0 then
    if careful then
      -- A task that exists is offered anew; its grants go on counting, so that no old lease fits.
      with made as (
        insert into tasks (
          shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes,
          trace, state, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, close_left_ms,
          lease_seq, lease_nonce, worker_id, granted_at, lease_until, close_by, due_at)
        select
          fulcrum_shard(t.task_id), t.task_id, t.run_id, t.root_id, t.namespace_id, t.step, t.capability, t.contract,
          t.input_id, t.input_hash, t.input_bytes, t.trace,
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
          t_task, t_run, t_root, t_namespace, t_step, t_capability, t_contract, t_input, t_input_hash,
          t_input_bytes, t_trace, t_priority, t_ready_at, t_attempt, t_schedule_to_start_ms, t_start_to_close_ms,
          t_worker, t_nonce, t_lease_ms)
          as t(task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash,
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
    else
      insert into tasks (
        shard, task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash, input_bytes,
        trace, state, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, close_left_ms,
        lease_seq, lease_nonce, worker_id, granted_at, lease_until, close_by, due_at)
      select
        fulcrum_shard(t.task_id), t.task_id, t.run_id, t.root_id, t.namespace_id, t.step, t.capability, t.contract,
        t.input_id, t.input_hash, t.input_bytes, t.trace,
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
        t_task, t_run, t_root, t_namespace, t_step, t_capability, t_contract, t_input, t_input_hash,
        t_input_bytes, t_trace, t_priority, t_ready_at, t_attempt, t_schedule_to_start_ms, t_start_to_close_ms,
        t_worker, t_nonce, t_lease_ms)
        as t(task_id, run_id, root_id, namespace_id, step, capability, contract, input_id, input_hash,
          input_bytes, trace, priority, ready_at, attempt, schedule_to_start_ms, start_to_close_ms, worker_id,
          lease_nonce, lease_ms);
    end if;
  end if;
  if cardinality(s_run) > 0 then
    insert into snapshots (shard, run_id, seq, chain, state)
    select fulcrum_shard(s.run_id), s.run_id, s.seq, s.chain, s.state
    from unnest(s_run, s_seq, s_chain, s_state) as s(run_id, seq, chain, state)
    on conflict (shard, run_id) do update set seq = excluded.seq, chain = excluded.chain, state = excluded.state;
  end if;
  if cardinality(g_run) > 0 then
    -- Two kinds of change to joins: all are locked first, in order.
    perform from (
      select * from (
        select * from unnest(j_run, j_step) union all select * from unnest(g_run, g_step)
      ) w(run_id, step)
      order by fulcrum_shard(run_id), run_id, step
    ) w
    cross join lateral (
      select from joins
      where joins.shard = fulcrum_shard(w.run_id) and joins.run_id = w.run_id and joins.step = w.step
      for update
    ) t;
    delete from joins
    using (
      select t.place from unnest(g_run, g_step) as w(run_id, step)
      cross join lateral (
        select ctid as place from joins
        where joins.shard = fulcrum_shard(w.run_id) and joins.run_id = w.run_id and joins.step = w.step
        for update
      ) t
    ) t
    where joins.ctid = t.place;
    delete from join_items
    using (
      select t.place from unnest(g_run, g_step) as w(run_id, step)
      cross join lateral (
        select ctid as place from join_items
        where join_items.shard = fulcrum_shard(w.run_id) and join_items.run_id = w.run_id and join_items.step = w.step
        for update
      ) t
    ) t
    where join_items.ctid = t.place;
  end if;
  if cardinality(o_run) > 0 then
    insert into joins (shard, run_id, step, root_id, notify_at, notify_on_failure)
    select fulcrum_shard(o.run_id), o.*
    from unnest(o_run, o_step, o_root, o_notify_at, o_on_failure)
      as o(run_id, step, root_id, notify_at, notify_on_failure)
    order by fulcrum_shard(o.run_id), o.run_id, o.step
    on conflict do nothing;
    get diagnostics n = row_count;
    if n <> cardinality(o_run) then
      raise sqlstate 'FU001';
    end if;
  end if;
  if cardinality(j_run) > 0 then
    with moved as (
      update joins
      set closed = j.closed, failed = j.failed, notify_at = j.notify_at,
          announced = case when j.is_news then j.closed else joins.announced end
      from (
        select
          w.*, t.place,
          -- A flush tells once, of all that it counted.
          (w.closed >= w.notify_at or (t.notify_on_failure and t.failed = 0 and w.failed > 0))
            and w.closed > t.announced as is_news
        from (
          select * from unnest(j_run, j_step, j_closed, j_failed, j_notify_at, j_sender, j_mail, j_body)
            with ordinality as w(run_id, step, more, more_failed, wanted, sender_id, mail_id, body, place_in_list)
          order by fulcrum_shard(run_id), run_id, step
        ) l
        cross join lateral (
          select ctid as place, root_id, closed, failed, notify_at, notify_on_failure, announced from joins
          where joins.shard = fulcrum_shard(l.run_id) and joins.run_id = l.run_id and joins.step = l.step
          for update
        ) t
        cross join lateral (
          select
            l.run_id, l.sender_id, l.mail_id, l.body, l.place_in_list, t.root_id, t.closed + l.more as closed,
            t.failed + l.more_failed as failed, coalesce(l.wanted, t.notify_at) as notify_at
        ) w
      ) j
      where joins.ctid = j.place
      returning j.*
    ), posted as (
      insert into mail (shard, run_id, mail_id, root_id, sender_id, body)
      select
        fulcrum_shard(run_id), run_id, mail_id, root_id, sender_id,
        body || fulcrum_varint(closed) || fulcrum_varint(failed)
      from moved where is_news
      on conflict do nothing
    )
    select
      count(*), array_agg(place_in_list order by place_in_list) filter (where is_news),
      array_agg(closed order by place_in_list) filter (where is_news),
      array_agg(failed order by place_in_list) filter (where is_news)
    into n, told, told_closed, told_failed
    from moved;
    if n <> cardinality(j_run) then
      raise sqlstate 'FU001';
    end if;
  end if;
  if cardinality(i_join) > 0 then
    insert into join_items (shard, run_id, step, index, output_id, output_hash, output_bytes, failure)
    select fulcrum_shard(j_run[i.place]), j_run[i.place], j_step[i.place], i.index, i.id, i.hash, i.bytes, i.failure
    from unnest(i_join, i_index, i_output, i_hash, i_bytes, i_failure) as i(place, index, id, hash, bytes, failure)
    on conflict do nothing;
    get diagnostics n = row_count;
    if n <> cardinality(i_join) then
      raise sqlstate 'FU001';
    end if;
  end if;
  if cardinality(d_mail) > 0 then
    -- A run consumes only what was sent to it.
    delete from mail
    using (
      select t.place from unnest(d_mail, d_run) as d(mail_id, run_id)
      cross join lateral (
        select ctid as place from mail
        where mail.shard = fulcrum_shard(d.mail_id) and mail.mail_id = d.mail_id and mail.run_id = d.run_id
        for update
      ) t
    ) t
    where mail.ctid = t.place;
  end if;
  if cardinality(m_mail) > 0 then
    insert into mail (shard, run_id, mail_id, root_id, sender_id, body)
    select fulcrum_shard(mail_id), m.run_id, m.mail_id, m.root_id, m.sender_id, m.body
    from unnest(m_run, m_mail, m_root, m_sender, m_body) as m(run_id, mail_id, root_id, sender_id, body)
    on conflict do nothing;
  end if;
  xid := pg_current_xact_id()::text;
exception
  -- The block is a subtransaction: nothing of a batch that does not fit is left, and the server logs no error.
  when sqlstate 'FU001' then
    committed := false;
    moment := clock_timestamp();
  when unique_violation then
    if careful then
      raise;
    end if;
    committed := false;
    moment := clock_timestamp();
end
$$;
