select serial, kind as "kind: AuthorityKindColumn", cert_pem, key_pem, not_after as "not_after: At"
from certificate_authorities
order by created_at, serial
