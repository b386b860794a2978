-- Idempotent: the first revocation stands.
update identities
set status = 'revoked', revoked_at = now(), revoked_reason = $2, min_issued_at = now()
where identity_id = $1 and status = 'active'
