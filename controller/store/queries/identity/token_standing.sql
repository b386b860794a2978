select used_at is not null as "used!", revoked_at is not null as "revoked!" from join_tokens where token_id = $1
