-- Locks the workflow's row, made if need be; versions are numbered under this lock.
insert into workflows (namespace_id, workflow, current_hash, current_version, versions)
values ($1, $2, $3, 0, 0)
on conflict (namespace_id, workflow) do update set workflow = excluded.workflow
returning current_hash, versions
