update workflows
set current_hash = $3, current_version = $4, versions = greatest(versions, $4), applied_at = now()
where namespace_id = $1 and workflow = $2
