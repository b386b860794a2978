update audit_keys set sealed = $3 where verifier = $1 and sealed = $2
