select index, output_id, output_hash, output_bytes, failure
from join_items
where shard = $1 and run_id = $2 and step = $3
order by index
