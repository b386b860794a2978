-- Why: everything belongs to a namespace, and a namespace is cut into shards, which are the unit of blast radius and
-- of scale. Hot keys begin with the shard's ordinal, which every id carries in its own bits, so that a row is found
-- from its id alone. Two namespaces share ordinals; their rows are told apart by id and by a namespace column.

create table namespaces (
  namespace_id uuid        not null,
  name         text        not null,
  shard_count  smallint    not null,
  created_at   timestamptz not null default now(),
  constraint namespaces_pkey primary key (namespace_id),
  constraint namespaces_name_key unique (name),
  constraint namespaces_name_check check (name ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'),
  constraint namespaces_shard_count_check check (shard_count between 1 and 4096)
);

create table shards (
  namespace_id uuid     not null,
  shard        smallint not null,
  -- Names the database that holds the shard; null is this one.
  located_at   text,
  constraint shards_pkey primary key (namespace_id, shard),
  constraint shards_namespace_fkey foreign key (namespace_id) references namespaces,
  constraint shards_shard_check check (shard between 0 and 4095)
);
