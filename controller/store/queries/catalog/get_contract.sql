select
  capability, hash, version, effect as "effect: EffectClassColumn", body, first_seen_at as "first_seen_at: At",
  first_seen_by
from capability_contracts
where namespace_id = $1 and capability = $2 and hash = $3
