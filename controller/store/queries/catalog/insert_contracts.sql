insert into capability_contracts (namespace_id, capability, hash, version, effect, body, first_seen_by)
select $1, c.capability, c.hash, c.version, c.effect, c.body, $2
from unnest($3::text[], $4::bytea[], $5::text[], $6::effect_class[], $7::bytea[])
  as c(capability, hash, version, effect, body)
on conflict do nothing
