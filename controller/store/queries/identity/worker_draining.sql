update workers set draining = $2 where worker_id = $1
