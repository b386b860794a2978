-- Why: a run is one narrow row that its own commits update in place, with the bulky fold beside it, rewritten only now
-- and then. No column that changes is indexed, except that closing leaves `runs_open`: updates stay on their page.

create type run_status as enum ('running', 'cancelling', 'completed', 'failed', 'cancelled');

create table runs (
  shard           smallint    not null,
  run_id          uuid        not null,
  namespace_id    uuid        not null,
  root_id         uuid        not null,
  parent_id       uuid,
  workflow        text        not null,
  definition      bytea       not null,
  status          run_status  not null,
  version         bigint      not null,
  last_seq        bigint      not null,
  chain           bytea       not null,
  -- The commit that wrote this version; resolves an unknown outcome of COMMIT.
  commit_id       uuid        not null,
  started_at      timestamptz not null,
  closed_at       timestamptz,
  idempotency_key text,
  constraint runs_pkey primary key (shard, run_id),
  constraint runs_definition_check check (octet_length(definition) = 32),
  constraint runs_chain_check check (octet_length(chain) = 32),
  constraint runs_version_check check (version > 0)
) with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);

-- A caller's key names one run of a workflow. The key is hashed to the shard, so this needs no cross-shard check.
create unique index runs_idempotency_key on runs (shard, namespace_id, workflow, idempotency_key)
  where idempotency_key is not null;
-- Listings, newest first. A family shares the leading 80 bits of its ids: it is a range of the primary key.
create index runs_listing on runs (namespace_id, run_id desc);
-- Retention asks of a span of births whether anything in it is still open.
create index runs_open on runs (run_id) where closed_at is null;

create table snapshots (
  shard  smallint not null,
  run_id uuid     not null,
  seq    bigint   not null,
  chain  bytea    not null,
  state  bytea    not null,
  constraint snapshots_pkey primary key (shard, run_id),
  constraint snapshots_chain_check check (octet_length(chain) = 32)
);

-- Answers to mutations, so that a repeated request gets the stored one.
create table requests (
  shard        smallint    not null,
  namespace_id uuid        not null,
  request_id   text        not null,
  digest       bytea       not null,
  run_id       uuid        not null,
  answer       bytea       not null,
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null default now() + interval '24 hours',
  constraint requests_pkey primary key (shard, namespace_id, request_id),
  constraint requests_digest_check check (octet_length(digest) = 32),
  constraint requests_id_check check (octet_length(request_id) between 1 and 128)
) with (autovacuum_vacuum_scale_factor = 0.02);

create index requests_expiry on requests (expires_at);
