-- Why: definitions and contracts are immutable and named by their content. What is current is a pointer beside them:
-- applying an old text again makes it current again and creates nothing.

create table definitions (
  namespace_id uuid        not null,
  hash         bytea       not null,
  workflow     text        not null,
  version      bigint      not null,
  canonical    bytea       not null,
  source       text        not null,
  created_at   timestamptz not null default now(),
  created_by   text        not null,
  constraint definitions_pkey primary key (namespace_id, hash),
  constraint definitions_version_key unique (namespace_id, workflow, version),
  constraint definitions_hash_check check (octet_length(hash) = 32)
);

-- A run knows its definition by hash alone.
create index definitions_hash on definitions (hash);

create table workflows (
  namespace_id    uuid        not null,
  workflow        text        not null,
  current_hash    bytea       not null,
  current_version bigint      not null,
  -- Counts the versions ever made; its row lock orders them.
  versions        bigint      not null,
  applied_at      timestamptz not null default now(),
  constraint workflows_pkey primary key (namespace_id, workflow)
);

create type effect_class as enum ('read', 'reversible', 'irreversible', 'outward');

create table capability_contracts (
  namespace_id  uuid         not null,
  capability    text         not null,
  hash          bytea        not null,
  version       text         not null,
  effect        effect_class not null,
  -- Canonical JSON of the contract.
  body          bytea        not null,
  first_seen_at timestamptz  not null default now(),
  first_seen_by uuid         not null,
  constraint capability_contracts_pkey primary key (namespace_id, capability, hash),
  constraint capability_contracts_hash_check check (octet_length(hash) = 32)
);
