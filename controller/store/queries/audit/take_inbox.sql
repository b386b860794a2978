-- The first so many that are there. A later commit of the same run came after the earlier one was there, so its number
-- is higher.
with taken as (
  delete from audit_inbox
  where ctid = any (array(select ctid from audit_inbox order by entry_id limit $1))
  returning entry_id, body
)
select body from taken order by entry_id
