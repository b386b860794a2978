-- Why: a run's chain shows that its timeline is whole, and cannot show that all of it was written anew or that its end is
-- missing. From feature level 3 on, each commit leaves a leaf that says how far it brought which runs. The leaves that
-- are there get their places in a Merkle tree together, at most a second later, and its head is signed with a key that
-- this database holds only sealed. Whoever has seen a signed head can tell when the tree is not what it was.

-- Leaves without a place. Rows come with each commit and leave a second later.
create table audit_inbox (
  entry_id bigint not null generated always as identity,
  body     bytea  not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_limit = 2000);

-- The tree: its size, the hashes that do not fill a tile yet, highest level first, and its signed head.
create table audit_log (
  only_row  boolean     not null default true,
  size      bigint      not null default 0,
  edge      bytea       not null default '',
  note      text,
  signed_at timestamptz,
  -- Places before this one have left by retention.
  first     bigint      not null default 0,
  constraint audit_log_pkey primary key (only_row),
  constraint audit_log_only_row_check check (only_row)
) with (fillfactor = 50);

insert into audit_log default values;

-- Hashes that never change any more, 256 together: at level 0 of leaves, above of the full tiles below.
create table audit_tiles (
  level  smallint not null,
  index  bigint   not null,
  hashes bytea    not null,
  constraint audit_tiles_pkey primary key (level, index),
  constraint audit_tiles_hashes_check check (octet_length(hashes) = 8192)
);

alter table audit_tiles alter column hashes set storage external;

-- Leaves that got their places together: each as its length (32 bits, highest byte first) and its bytes.
create table audit_batches (
  first     bigint      not null,
  leaves    integer     not null,
  body      bytea       not null,
  note      text        not null,
  signed_at timestamptz not null default now(),
  constraint audit_batches_pkey primary key (first),
  constraint audit_batches_leaves_check check (leaves > 0)
);

alter table audit_batches alter column body set storage external;

-- What heads are signed with. Only who has the key-encryption key can open it.
create table audit_keys (
  verifier   text        not null,
  sealed     bytea       not null,
  created_at timestamptz not null default now(),
  constraint audit_keys_pkey primary key (verifier)
);

-- `fulcrum_retire_day`, which tells whether the day was logged just now, and what it held.
create function fulcrum_retire_day_2(day date, keep interval, out retired boolean, out runs bigint, out root bytea)
language plpgsql strict as $$
declare
  low  uuid := fulcrum_day_floor(day);
  high uuid := fulcrum_day_floor(day + 1);
begin
  retired := true;
  if exists (select from dropped_days d where d.day = fulcrum_retire_day_2.day) then
    return;
  end if;
  if exists (select from fulcrum_runs_born(low, high) where closed_at is null or closed_at > now() - keep) then
    retired := false;
    return;
  end if;
  insert into dropped_days as d (day, runs, root_hash)
    select fulcrum_retire_day_2.day, count(*), sha256(coalesce(string_agg(chain, ''::bytea order by run_id), ''::bytea))
    from fulcrum_runs_born(low, high)
    returning d.runs, d.root_hash into runs, root;
end
$$;
