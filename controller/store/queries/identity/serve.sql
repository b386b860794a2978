insert into worker_capabilities (worker_id, namespace_id, capability, contract_hash)
select $1, $2, c.capability, c.hash from unnest($3::text[], $4::bytea[]) as c(capability, hash)
on conflict (worker_id, capability) do update set contract_hash = excluded.contract_hash
