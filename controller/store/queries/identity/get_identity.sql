select
  identity_id, namespace, kind as "kind: IdentityKindColumn", name, status as "status: IdentityStatusColumn", serial,
  public_key_sha256, not_after as "not_after: At", min_issued_at as "min_issued_at: At", capability_patterns,
  created_at as "created_at: At", revoked_at as "revoked_at: At", revoked_reason
from identities
where identity_id = $1
