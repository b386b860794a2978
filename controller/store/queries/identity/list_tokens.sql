select
  token_id, secret_hash, namespace, kind as "kind: IdentityKindColumn", name, capability_patterns,
  expires_at as "expires_at: At", created_at as "created_at: At", created_by, used_at as "used_at: At", used_by,
  revoked_at as "revoked_at: At"
from join_tokens
where ($1::text is null or namespace = $1) and ($2::uuid is null or token_id < $2)
order by token_id desc
limit $3
