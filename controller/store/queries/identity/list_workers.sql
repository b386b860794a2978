select
  i.identity_id as "identity_id!", i.namespace as "namespace!", i.kind as "kind!: IdentityKindColumn", i.name as "name!",
  i.status as "status!: IdentityStatusColumn", i.serial as "serial!", i.public_key_sha256 as "public_key_sha256!",
  i.not_after as "not_after!: At", i.min_issued_at as "min_issued_at!: At",
  i.capability_patterns as "capability_patterns!", i.created_at as "created_at!: At", i.revoked_at as "revoked_at?: At",
  i.revoked_reason as "revoked_reason?",
  w.namespace_id as "namespace_id?", w.instance as "instance?", w.sdk_version as "sdk_version?", w.labels as "labels?",
  w.slots as "slots?", w.draining as "draining?", w.registered_at as "registered_at?: At",
  w.last_seen_at as "last_seen_at?: At"
from identities i
left join workers w on w.worker_id = i.identity_id
where i.kind in ('executor', 'connector')
  and ($1::text is null or i.namespace = $1)
  and ($2::uuid is null or i.identity_id = $2)
  and ($3::uuid is null or i.identity_id < $3)
order by i.identity_id desc
limit $4
