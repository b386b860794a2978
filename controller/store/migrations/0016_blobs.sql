-- Why: a payload of megabytes does not belong into the statement that holds the locks of runs and tasks, nor beside
-- small ones that are read all the time. What is larger than the inline limit is a blob: in a table of its own, written
-- before the commit that refers to it, with its bytes in the row or in object storage. A blob that no commit came to
-- refer to leaves with its day, like everything born on it.
-- `fulcrum_make_day`, `fulcrum_days` and `fulcrum_day_tables` keep their signatures: builds that know of no blobs make
-- and drop their partitions, too. Nothing is a blob before feature level 2.

create table blobs (
  shard      smallint not null,
  payload_id uuid     not null,
  hash       bytea    not null,
  encoding   text     not null,
  -- The bytes, or where in object storage they are.
  data       bytea,
  object     text,
  constraint blobs_pkey primary key (shard, payload_id),
  constraint blobs_hash_check check (octet_length(hash) = 32),
  constraint blobs_place_check check ((data is null) <> (object is null))
) partition by range (payload_id);

-- Out of line and as they are: a part is read without the rest.
alter table blobs alter column data set storage external;

-- What is cut by birth.
create function fulcrum_day_parents() returns text[]
language sql immutable parallel safe as $$
  select array['events', 'payloads', 'blobs']
$$;

create or replace function fulcrum_make_day(day date) returns integer
language plpgsql strict set lock_timeout = '3s' as $$
declare
  parent text;
  child  text;
  made   integer := 0;
begin
  perform pg_advisory_xact_lock(hashtext('fulcrum_partitions'));
  foreach parent in array fulcrum_day_parents() loop
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

-- The days that have all of their partitions, oldest first. The pattern guards the cast wherever the planner moves it.
create or replace function fulcrum_days() returns setof date
language sql stable as $$
  select d.day
  from (
    select case when c.relname ~ '_p[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end as day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = any (fulcrum_day_parents()::regclass[])
  ) d
  group by d.day
  having count(*) = cardinality(fulcrum_day_parents())
  order by 1
$$;

create or replace function fulcrum_day_tables()
returns table (name text, parent text, day date, attached boolean, detaching boolean)
language sql stable as $$
  select c.relname::text, split_part(c.relname, '_p', 1),
    case when c.relname ~ '_p[0-9]{8}$' then to_date(right(c.relname, 8), 'YYYYMMDD') end,
    i.inhrelid is not null, coalesce(i.inhdetachpending, false)
  from pg_class c
  left join pg_inherits i on i.inhrelid = c.oid
  where c.relkind = 'r' and c.relname ~ '_p[0-9]{8}$'
    and split_part(c.relname, '_p', 1) = any (fulcrum_day_parents())
    and c.relnamespace = (select p.relnamespace from pg_class p where p.oid = 'events'::regclass)
$$;

-- Does a day's table of blobs, attached or not, say that some of them are in object storage?
create function fulcrum_names_objects(name text) returns boolean
language plpgsql stable strict as $$
declare
  found boolean;
begin
  execute format('select exists (select from %I where object is not null)', name) into found;
  return found;
end
$$;

-- The days that are there get theirs: a run of one of them may be open and write for a long time.
select fulcrum_make_day(d.day)
from (select distinct t.day from fulcrum_day_tables() t where t.parent = 'events' and t.attached) d;
