insert into audit_inbox (body) select $1 where (select feature_level from versions) >= 3
