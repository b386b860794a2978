select namespace_id, hash, workflow, version, canonical, source, created_at as "created_at: At", created_by
from definitions
where namespace_id = $1 and hash = $2
