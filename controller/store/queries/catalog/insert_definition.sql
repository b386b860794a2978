insert into definitions (namespace_id, hash, workflow, version, canonical, source, created_by)
values ($1, $2, $3, $4, $5, $6, $7)
