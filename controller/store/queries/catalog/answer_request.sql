update requests set answer = $3 where shard = 0 and namespace_id = $1 and request_id = $2
