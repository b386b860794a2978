select
  d.namespace_id, d.hash, d.workflow, d.version, d.canonical, d.source, d.created_at as "created_at: At", d.created_by
from workflows w
join definitions d on d.namespace_id = w.namespace_id and d.hash = w.current_hash
where w.namespace_id = $1 and w.workflow = $2
