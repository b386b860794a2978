insert into workers (worker_id, namespace_id, instance, sdk_version, labels, slots, draining)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (worker_id) do update
set namespace_id = excluded.namespace_id, instance = excluded.instance, sdk_version = excluded.sdk_version,
    labels = excluded.labels, slots = excluded.slots, draining = excluded.draining, registered_at = now(),
    last_seen_at = now()
