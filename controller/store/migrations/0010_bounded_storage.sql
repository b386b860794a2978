-- Why: storage stays bounded without a stall. A day leaves so long after its last run closed, in small steps that can
-- stop anywhere: logged, its runs deleted in batches, its partitions detached beside running inserts and dropped. One
-- controller at a time cleans up, and each of its transactions proves that it still is the one.
-- Nothing that an older build calls is changed or removed; `fulcrum_log_day`, `fulcrum_delete_runs` and
-- `fulcrum_drop_day` go one release later.

-- Who cleans up. The epoch rises whenever that changes, so that whoever was stopped meanwhile is refused.
create table upkeep_leadership (
  only_row   boolean     not null default true,
  epoch      bigint      not null default 0,
  holder     uuid,
  held_until timestamptz not null default '-infinity',
  constraint upkeep_leadership_pkey primary key (only_row),
  constraint upkeep_leadership_only_row_check check (only_row)
) with (fillfactor = 50);

insert into upkeep_leadership default values;

-- The tables of days, attached or not: what a killed clean-up left half done is seen again. The pattern guards the
-- cast wherever the planner moves it.
create function fulcrum_day_tables()
returns table (name text, parent text, day date, attached boolean, detaching boolean)
language sql stable as $$
  select c.relname::text, split_part(c.relname, '_p', 1),
    case when c.relname ~ '_p[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end,
    i.inhrelid is not null, coalesce(i.inhdetachpending, false)
  from pg_class c
  left join pg_inherits i on i.inhrelid = c.oid
  where c.relkind = 'r' and c.relname ~ '^(events|payloads)_p[0-9]{8}$'
    and c.relnamespace = (select p.relnamespace from pg_class p where p.oid = 'events'::regclass)
$$;

-- Logs a day once all of its runs have been closed for `keep`, so that it may leave. False when one is open, or has
-- not been closed for so long.
create function fulcrum_retire_day(day date, keep interval) returns boolean
language plpgsql strict as $$
declare
  low  uuid := fulcrum_day_floor(day);
  high uuid := fulcrum_day_floor(day + 1);
begin
  if exists (select from dropped_days d where d.day = fulcrum_retire_day.day) then
    return true;
  end if;
  if exists (select from fulcrum_runs_born(low, high) where closed_at is null or closed_at > now() - keep) then
    return false;
  end if;
  insert into dropped_days (day, runs, root_hash)
    select day, count(*), sha256(coalesce(string_agg(chain, ''::bytea order by run_id), ''::bytea))
    from fulcrum_runs_born(low, high);
  return true;
end
$$;

-- Deletes some of the runs of a logged day with everything that is kept by run; tells how many.
create function fulcrum_delete_run_batch(day date, at_most integer) returns bigint
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
  ), j as (
    delete from joins using gone where joins.shard = gone.shard and joins.run_id = gone.run_id
  ), i as (
    delete from join_items using gone where join_items.shard = gone.shard and join_items.run_id = gone.run_id
  ), r as (
    delete from reviews using gone where reviews.run_id = gone.run_id
  )
  select count(*) into deleted from gone;
  return deleted;
end
$$;

-- Drops one detached table of a logged day that holds no run any more; the last one ends the day. False when the day
-- still holds a run, or the table is attached.
create function fulcrum_drop_day_table(doomed text) returns boolean
language plpgsql strict as $$
declare
  t record;
begin
  select * into t from fulcrum_day_tables() where name = doomed;
  if not found then
    return true;
  end if;
  if t.attached
    or not exists (select from dropped_days d where d.day = t.day)
    or exists (select from fulcrum_runs_born(fulcrum_day_floor(t.day), fulcrum_day_floor(t.day + 1))) then
    return false;
  end if;
  execute format('drop table %I', doomed);
  update dropped_days d set dropped_at = now()
    where d.day = t.day and not exists (select from fulcrum_day_tables() f where f.day = t.day);
  return true;
end
$$;

-- Rows that come and go: vacuumed when a fiftieth of them is dead, and without dawdling.
alter table runs set (autovacuum_vacuum_cost_limit = 2000);
alter table requests set (autovacuum_vacuum_cost_limit = 2000, autovacuum_analyze_scale_factor = 0.02);
alter table timers set (autovacuum_vacuum_cost_limit = 2000);
alter table mail set (autovacuum_vacuum_cost_limit = 2000);
alter table joins set (autovacuum_vacuum_cost_limit = 2000, autovacuum_analyze_scale_factor = 0.02);
alter table join_items set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
  autovacuum_vacuum_cost_limit = 2000);
-- A snapshot is rewritten in place: room on its page, and its large values vacuumed as eagerly as its row.
alter table snapshots set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_cost_limit = 2000, toast.autovacuum_vacuum_scale_factor = 0.02);
alter table reviews set (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
