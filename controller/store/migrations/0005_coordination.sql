-- Why: what runs wait for and tell each other lives in rows of its own, so that no run's version is touched from
-- outside and no row grows with the size of a fan-out.

create type timer_purpose as enum ('wake', 'total', 'expiry');

create table timers (
  shard    smallint      not null,
  timer_id uuid          not null,
  run_id   uuid          not null,
  root_id  uuid          not null,
  step     text          not null,
  purpose  timer_purpose not null,
  fires_at timestamptz   not null,
  constraint timers_pkey primary key (shard, timer_id)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

create index timers_due on timers (fires_at, timer_id);

create table mail (
  shard     smallint    not null,
  run_id    uuid        not null,
  mail_id   uuid        not null,
  root_id   uuid        not null,
  sender_id uuid        not null,
  body      bytea       not null,
  sent_at   timestamptz not null default now(),
  constraint mail_pkey primary key (shard, mail_id)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

create index mail_pending on mail (sent_at, mail_id);

create table joins (
  shard             smallint not null,
  run_id            uuid     not null,
  step              text     not null,
  root_id           uuid     not null,
  closed            bigint   not null default 0,
  failed            bigint   not null default 0,
  notify_at         bigint   not null,
  notify_on_failure boolean  not null,
  -- The parent has been told of so many closed children.
  announced         bigint   not null default 0,
  constraint joins_pkey primary key (shard, run_id, step)
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02);

create table join_items (
  shard        smallint not null,
  run_id       uuid     not null,
  step         text     not null,
  index        bigint   not null,
  output_id    uuid,
  output_hash  bytea,
  output_bytes bigint,
  failure      bytea,
  constraint join_items_pkey primary key (shard, run_id, step, index)
);

create type review_state as enum ('open', 'escalated', 'closed');

create table reviews (
  shard         smallint     not null,
  review_id     uuid         not null,
  namespace_id  uuid         not null,
  run_id        uuid         not null,
  step          text         not null,
  state         review_state not null,
  content_id    uuid         not null,
  content_hash  bytea        not null,
  content_bytes bigint       not null,
  show_id       uuid         not null,
  show_hash     bytea        not null,
  show_bytes    bigint       not null,
  editable      boolean      not null,
  asked_at      timestamptz  not null,
  expires_at    timestamptz,
  closed_at     timestamptz,
  constraint reviews_pkey primary key (shard, review_id)
);

-- The inbox, oldest question first, and everything ever asked, newest first.
create index reviews_inbox on reviews (namespace_id, asked_at, review_id) where state <> 'closed';
create index reviews_listing on reviews (namespace_id, asked_at desc, review_id desc);
create index reviews_of_run on reviews (run_id);
