insert into audit_inbox (body) values ($1)
