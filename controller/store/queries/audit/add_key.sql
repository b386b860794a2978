insert into audit_keys (verifier, sealed)
select $1, $2 where not exists (select from audit_keys)
