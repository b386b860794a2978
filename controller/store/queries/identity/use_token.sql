-- One winner: a second redemption finds `used_at` set.
update join_tokens
set used_at = now(), used_by = $2
where token_id = $1 and used_at is null and revoked_at is null and expires_at > now()
