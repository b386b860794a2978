delete from requests where (shard, namespace_id, request_id) in (
  select shard, namespace_id, request_id from requests where expires_at <= now() limit $1)
