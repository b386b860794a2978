-- Why: who may talk to the controller. Small, cold, installation-wide tables. Every change of a status raises
-- `installation.identity_revision` in the same transaction, so that one cheap read tells whether a snapshot is stale.

create table installation (
  -- One row.
  only_row          boolean     not null default true,
  install_id        text        not null,
  identity_revision bigint      not null default 0,
  paging_key        bytea       not null,
  created_at        timestamptz not null default now(),
  constraint installation_pkey primary key (only_row),
  constraint installation_only_row_check check (only_row),
  constraint installation_paging_key_check check (octet_length(paging_key) = 32)
);

create type ca_kind as enum ('root', 'issuing');

create table certificate_authorities (
  serial     text        not null,
  kind       ca_kind     not null,
  cert_pem   text        not null,
  key_pem    bytea       not null,
  not_after  timestamptz not null,
  created_at timestamptz not null default now(),
  constraint certificate_authorities_pkey primary key (serial)
);

create type identity_kind as enum ('executor', 'connector', 'operator', 'client', 'controller');
create type identity_status as enum ('active', 'revoked');

create table join_tokens (
  token_id            uuid          not null,
  secret_hash         bytea         not null,
  -- A namespace's name, or `_` for every namespace.
  namespace           text          not null,
  kind                identity_kind not null,
  name                text          not null,
  capability_patterns text[]        not null,
  expires_at          timestamptz   not null,
  created_at          timestamptz   not null default now(),
  created_by          text          not null,
  used_at             timestamptz,
  used_by             uuid,
  revoked_at          timestamptz,
  constraint join_tokens_pkey primary key (token_id),
  constraint join_tokens_secret_hash_check check (octet_length(secret_hash) = 32)
);

create index join_tokens_listing on join_tokens (namespace, token_id desc);
create index join_tokens_expiry on join_tokens (expires_at);

create table identities (
  identity_id         uuid            not null,
  namespace           text            not null,
  kind                identity_kind   not null,
  name                text            not null,
  status              identity_status not null,
  -- Of the newest certificate.
  serial              text            not null,
  public_key_sha256   bytea           not null,
  not_after           timestamptz     not null,
  -- Certificates issued before are refused.
  min_issued_at       timestamptz     not null,
  capability_patterns text[]          not null,
  created_at          timestamptz     not null default now(),
  revoked_at          timestamptz,
  revoked_reason      text,
  constraint identities_pkey primary key (identity_id)
);

create unique index identities_active_name on identities (namespace, kind, name) where status = 'active';
create index identities_listing on identities (namespace, identity_id desc);

-- What a registered executor or connector says of itself; one row per identity of those kinds.
create table workers (
  worker_id     uuid        not null,
  namespace_id  uuid        not null,
  instance      uuid        not null,
  sdk_version   text        not null,
  labels        jsonb       not null,
  slots         integer     not null,
  draining      boolean     not null,
  registered_at timestamptz not null default now(),
  last_seen_at  timestamptz not null default now(),
  constraint workers_pkey primary key (worker_id),
  constraint workers_slots_check check (slots >= 0)
) with (fillfactor = 80);

-- Who serves what now.
create table worker_capabilities (
  worker_id     uuid  not null,
  namespace_id  uuid  not null,
  capability    text  not null,
  contract_hash bytea not null,
  constraint worker_capabilities_pkey primary key (worker_id, capability)
);

create index worker_capabilities_served on worker_capabilities (namespace_id, capability, contract_hash);
