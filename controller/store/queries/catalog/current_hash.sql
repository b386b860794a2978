select current_hash from workflows where namespace_id = $1 and workflow = $2 and current_version > 0
