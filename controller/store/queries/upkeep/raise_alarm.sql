insert into alarms (kind, detail) values ($1, $2)
