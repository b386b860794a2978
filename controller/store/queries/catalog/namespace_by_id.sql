select namespace_id, name, shard_count, created_at as "created_at: At" from namespaces where namespace_id = $1
