-- A machine that is set up again takes its name over.
update identities
set status = 'revoked', revoked_at = now(), revoked_reason = 'replaced by a new enrolment', min_issued_at = now()
where namespace = $1 and kind = $2 and name = $3 and status = 'active' and identity_id <> $4
