insert into certificate_authorities (serial, kind, cert_pem, key_pem, not_after) values ($1, $2, $3, $4, $5)
on conflict do nothing
