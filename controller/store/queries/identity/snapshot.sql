-- One statement: the revision and the rows belong together.
select
  n.identity_revision as "revision!", i.identity_id as "identity_id?", i.status as "status?: IdentityStatusColumn",
  i.min_issued_at as "min_issued_at?: At"
from installation n
left join identities i on true
