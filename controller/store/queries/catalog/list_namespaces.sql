select namespace_id, name, shard_count, created_at as "created_at: At"
from namespaces
where name > $1
order by name
limit $2
