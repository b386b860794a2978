update identities
set serial = $2, public_key_sha256 = $3, not_after = $4
where identity_id = $1 and status = 'active'
