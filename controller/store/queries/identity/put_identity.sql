insert into identities (
  identity_id, namespace, kind, name, status, serial, public_key_sha256, not_after, min_issued_at, capability_patterns)
values ($1, $2, $3, $4, 'active', $5, $6, $7, $8, $9)
on conflict (identity_id) do update
set serial = excluded.serial, public_key_sha256 = excluded.public_key_sha256, not_after = excluded.not_after,
    capability_patterns = excluded.capability_patterns
where identities.status = 'active'
