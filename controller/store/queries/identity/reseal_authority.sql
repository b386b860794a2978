-- Unless another controller was first.
update certificate_authorities set key_pem = $3 where serial = $1 and key_pem = $2
