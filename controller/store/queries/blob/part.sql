-- Blobs are stored as they are and out of line: a part is read without the rest.
select substring(b.data from $3 for $4) as "data?", b.object as "object?"
from blobs b
where b.shard = $1 and b.payload_id = $2
