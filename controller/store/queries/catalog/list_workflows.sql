select workflow, current_hash, current_version, versions, applied_at as "applied_at: At"
from workflows
where namespace_id = $1 and workflow > $2
order by workflow
limit $3
