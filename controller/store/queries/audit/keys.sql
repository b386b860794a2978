select verifier, sealed from audit_keys order by created_at, verifier
