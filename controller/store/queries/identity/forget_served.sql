delete from worker_capabilities where worker_id = $1
