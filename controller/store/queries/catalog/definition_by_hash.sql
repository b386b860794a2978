-- Equal hashes are equal content, whatever namespace holds them.
select namespace_id, hash, workflow, version, canonical, source, created_at as "created_at: At", created_by
from definitions
where hash = $1
limit 1
