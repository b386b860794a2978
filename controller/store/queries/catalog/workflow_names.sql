select workflow from workflows where namespace_id = $1 order by workflow limit $2
