select
  identity_id, namespace, kind as "kind: IdentityKindColumn", name, status as "status: IdentityStatusColumn", serial,
  public_key_sha256, not_after as "not_after: At", min_issued_at as "min_issued_at: At", capability_patterns,
  created_at as "created_at: At", revoked_at as "revoked_at: At", revoked_reason
from identities
where ($1::text is null or namespace = $1)
  and (cardinality($2::identity_kind[]) = 0 or kind = any ($2))
  and ($3::uuid is null or identity_id < $3)
order by identity_id desc
limit $4
