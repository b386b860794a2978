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

-- What was dropped, and what it held: the root hash covers the last chain hash of every run of the day, by run id.
create table dropped_days (
  day        date        not null,
  runs       bigint      not null,
  root_hash  bytea       not null,
  dropped_at timestamptz not null default now(),
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

-- The days that have partitions, oldest first.
create function fulcrum_days() returns setof date
language sql stable as $$
  select to_date(right(c.relname, 8), 'YYYYMMDD')
  from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'events'::regclass
  order by 1
$$;

-- Drops a day whose runs are all closed, runs included, after recording what it held. False when a run is open.
create function fulcrum_drop_day(day date) returns boolean
language plpgsql strict set lock_timeout = '2s' as $$
declare
  low  uuid := fulcrum_day_floor(day);
  high uuid := fulcrum_day_floor(day + 1);
begin
  if exists (select from runs where closed_at is null and run_id >= low and run_id < high) then
    return false;
  end if;
  insert into dropped_days (day, runs, root_hash)
    select day, count(*), sha256(coalesce(string_agg(chain, ''::bytea order by run_id), ''::bytea))
    from runs where run_id >= low and run_id < high
    on conflict do nothing;
  delete from snapshots where run_id >= low and run_id < high;
  delete from reviews where run_id >= low and run_id < high;
  delete from runs where run_id >= low and run_id < high;
  execute format('drop table if exists %I', 'events_p' || to_char(day, 'YYYYMMDD'));
  execute format('drop table if exists %I', 'payloads_p' || to_char(day, 'YYYYMMDD'));
  return true;
end
$$;

select fulcrum_make_days_ahead(14);
