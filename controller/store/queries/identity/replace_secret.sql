-- Of a token that still admits. The secret given out before is worth nothing from here on.
update join_tokens
set secret_hash = $2
where token_id = $1 and used_at is null and revoked_at is null and expires_at > now()
