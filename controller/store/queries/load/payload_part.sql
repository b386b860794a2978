select substring(p.data from $3 for $4) as "data!"
from payloads p
where p.shard = $1 and p.payload_id = $2
