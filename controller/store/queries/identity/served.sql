select worker_id, capability, contract_hash from worker_capabilities where worker_id = any ($1) order by worker_id, capability
