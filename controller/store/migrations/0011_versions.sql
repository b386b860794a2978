-- Why: builds N and N+1 run side by side on one database. What may be *written* is agreed on by a feature level, which
-- is raised by a person once every live controller knows it; which builds may *start* is told by the schema itself.
-- Controllers write themselves down now and then; nobody owns anything because of it.

create table versions (
  only_row      boolean     not null default true,
  feature_level integer     not null default 1,
  raised_at     timestamptz,
  -- The newest schema, and the oldest build, told by the newest schema it carries, that may still run on it.
  schema        bigint,
  readable_from bigint,
  constraint versions_pkey primary key (only_row),
  constraint versions_only_row_check check (only_row),
  constraint versions_feature_level_check check (feature_level > 0)
);

insert into versions default values;

create table controllers (
  controller_id uuid        not null,
  build         text        not null,
  schema        bigint      not null,
  level_max     integer     not null,
  started_at    timestamptz not null default now(),
  last_seen_at  timestamptz not null default now(),
  constraint controllers_pkey primary key (controller_id)
) with (fillfactor = 50);

create type alarm_kind as enum ('failover', 'rewind', 'other_cluster', 'partition_missing');

-- What an operator should know of the installation itself, oldest first; upkeep keeps the newest thousand.
create table alarms (
  alarm_id bigint      not null generated always as identity,
  at       timestamptz not null default now(),
  kind     alarm_kind  not null,
  detail   text        not null,
  constraint alarms_pkey primary key (alarm_id)
);
