select seq, kind, schema, body, hash
from events
where shard = $1 and stream = $2 and seq > $3
order by seq
limit $4
