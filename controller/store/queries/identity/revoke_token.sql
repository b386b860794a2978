update join_tokens set revoked_at = coalesce(revoked_at, now()) where token_id = $1
