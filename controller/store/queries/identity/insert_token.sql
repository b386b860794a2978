insert into join_tokens (token_id, secret_hash, namespace, kind, name, capability_patterns, expires_at, created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8)
