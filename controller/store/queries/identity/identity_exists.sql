select exists (select from identities where identity_id = $1) as "exists!"
