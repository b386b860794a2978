-- Why: whoever had a copy of the database had the keys of the authority. From feature level 3 on, private keys rest sealed
-- under a key that is not in the database. Clear ones that are there are sealed by the controllers that know how.

-- A sealed page-token key is longer than a clear one, which is how they are told apart.
alter table installation drop constraint installation_paging_key_check;
alter table installation add constraint installation_paging_key_check check (octet_length(paging_key) >= 32);

-- Where nobody has begun yet there is nobody who could not read it. Whoever is entering holds the row: looked for after.
do $$
begin
  perform from versions for update;
  update versions set feature_level = 3
  where feature_level < 3
    and not exists (select from runs) and not exists (select from controllers) and not exists (select from installation);
end
$$;
