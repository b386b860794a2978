-- Nothing comes back when the name is taken.
with made as (
  insert into namespaces (namespace_id, name, shard_count) values ($1, $2, $3)
  on conflict do nothing
  returning namespace_id, name, shard_count, created_at
), cut as (
  insert into shards (namespace_id, shard)
  select namespace_id, n::smallint from made, generate_series(0, shard_count - 1) as n
)
select namespace_id, name, shard_count, created_at as "created_at: At" from made
