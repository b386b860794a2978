-- Why: events and payloads are written once, read seldom and dropped in bulk. Both are cut by the birth time that
-- every id carries, so that a day leaves by dropping its partition. There is no default partition: it would hide a
-- missing one and stand in the way of detaching. A missing one is an error that the store answers by making it.

create table events (
  shard  smallint not null,
  stream uuid     not null,
  seq    bigint   not null,
  kind   smallint not null,
  schema smallint not null,
  body   bytea    not null,
  hash   bytea    not null,
  constraint events_pkey primary key (shard, stream, seq),
  constraint events_hash_check check (octet_length(hash) = 32)
) partition by range (stream);

create table payloads (
  shard      smallint not null,
  payload_id uuid     not null,
  hash       bytea    not null,
  encoding   text     not null,
  data       bytea    not null,
  constraint payloads_pkey primary key (shard, payload_id),
  constraint payloads_hash_check check (octet_length(hash) = 32)
) partition by range (payload_id);

-- What left, and what it held: the root hash covers the last chain hash of every run of the day, by run id. Written
-- before anything is deleted; `dropped_at` says when the last of it was gone.
create table dropped_days (
  day        date        not null,
  runs       bigint      not null,
  root_hash  bytea       not null,
  logged_at  timestamptz not null default now(),
  dropped_at timestamptz,
  constraint dropped_days_pkey primary key (day)
);

-- The smallest UUIDv7 born on a day (UTC), or rather a lower bound of them all.
create function fulcrum_day_floor(day date) returns uuid
language sql immutable strict parallel safe as $$
  select (lpad(to_hex((extract(epoch from day::timestamp) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Makes the partitions of one day, if they are missing; tells how many it made. ATTACH takes a lighter lock on the
-- parent than CREATE … PARTITION OF: inserts go on meanwhile.
create function fulcrum_make_day(day date) returns integer
language plpgsql strict set lock_timeout = '3s' as $$
declare
  parent text;
  child  text;
  made   integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('fulcrum_partitions'));
  foreach parent in array array['events', 'payloads'] loop
    child := parent || '_p' || to_char(day, 'YYYYMMDD');
    if to_regclass(child) is null then
      execute format('create table %I (like %I including defaults including constraints including storage)', child, parent);
      execute format('alter table %I attach partition %I for values from (%L) to (%L)',
        parent, child, fulcrum_day_floor(day), fulcrum_day_floor(day + 1));
      made := made + 1;
    end if;
  end loop;
  return made;
end
$$;

-- Makes partitions from yesterday (ids may be born just before midnight) to `ahead` days from now.
create function fulcrum_make_days_ahead(ahead integer) returns integer
language sql strict as $$
  select coalesce(sum(fulcrum_make_day(((now() at time zone 'UTC')::date) + n)), 0)::integer
  from generate_series(-1, ahead) as n
$$;

-- The days that have partitions, oldest first. The pattern guards the cast wherever the planner moves it.
create function fulcrum_days() returns setof date
language sql stable as $$
  select case when c.relname ~ '^events_p[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'events'::regclass
  order by 1
$$;

-- Runs born in a span, by way of the listing's index: one range per namespace.
create function fulcrum_runs_born(low uuid, high uuid) returns setof runs
language sql stable as $$
  select r.* from namespaces n
  cross join lateral (
    select * from runs where runs.namespace_id = n.namespace_id and runs.run_id >= low and runs.run_id < high offset 0
  ) r
$$;

-- Logs a day whose runs are all closed, so that it may be dropped. False when a run is open.
create function fulcrum_log_day(day date) returns boolean
language plpgsql strict as $$
declare
  low  uuid := fulcrum_day_floor(day);
  high uuid := fulcrum_day_floor(day + 1);
begin
  if exists (select from runs where closed_at is null and run_id >= low and run_id < high) then
    return false;
  end if;
  insert into dropped_days (day, runs, root_hash)
    select day, count(*), sha256(coalesce(string_agg(chain, ''::bytea order by run_id), ''::bytea))
    from fulcrum_runs_born(low, high)
    on conflict do nothing;
  return true;
end
$$;

-- Deletes some of the closed runs of a logged day with what belongs to them; tells how many.
create function fulcrum_delete_runs(day date, at_most integer) returns bigint
language plpgsql strict as $$
declare
  low     uuid := fulcrum_day_floor(day);
  high    uuid := fulcrum_day_floor(day + 1);
  deleted bigint;
begin
  with gone as (
    delete from runs where (shard, run_id) in (
      select shard, run_id from fulcrum_runs_born(low, high) where closed_at is not null limit at_most)
    returning shard, run_id
  ), s as (
    delete from snapshots using gone where snapshots.shard = gone.shard and snapshots.run_id = gone.run_id
  ), r as (
    delete from reviews using gone where reviews.run_id = gone.run_id
  )
  select count(*) into deleted from gone;
  return deleted;
end
$$;

-- Drops the partitions of a logged day that holds no run any more. False when it still does.
create function fulcrum_drop_day(day date) returns boolean
language plpgsql strict set lock_timeout = '2s' as $$
begin
  if not exists (select from dropped_days d where d.day = fulcrum_drop_day.day)
    or exists (select from fulcrum_runs_born(fulcrum_day_floor(day), fulcrum_day_floor(day + 1))) then
    return false;
  end if;
  execute format('drop table if exists %I', 'events_p' || to_char(day, 'YYYYMMDD'));
  execute format('drop table if exists %I', 'payloads_p' || to_char(day, 'YYYYMMDD'));
  update dropped_days d set dropped_at = now() where d.day = fulcrum_drop_day.day;
  return true;
end
$$;

select fulcrum_make_days_ahead(14);
