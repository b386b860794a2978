-- A run is born before any commit of it, so leaves older than the oldest day that is left speak of runs that are gone.
-- Tiles of leaves go with them; those above stay, so that the tree can be followed from where it begins now.
with gone as (
  delete from audit_batches
  where first in (
    select first from audit_batches
    where signed_at < (select min(day) from fulcrum_day_tables())::timestamp at time zone 'UTC'
    order by first limit $1)
  returning first + leaves as next
), log as (
  update audit_log set first = greatest(first, (select max(next) from gone)) where exists (select from gone)
  returning first
), tiles as (
  delete from audit_tiles using log where level = 0 and index < log.first >> 8
)
select count(*) as "gone!" from gone
