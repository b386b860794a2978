select digest, run_id, answer
from requests
where shard = $1 and namespace_id = $2 and request_id = $3
