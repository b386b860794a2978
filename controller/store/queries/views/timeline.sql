-- A page is bounded in rows and in bytes; its first row comes whatever its size. `found` counts the rows read, so that
-- the caller can tell a page that was cut from the last one. A row may begin before the page does.
select seq as "seq!", kind as "kind!", schema as "schema!", body as "body!", hash as "hash!", found as "found!"
from (
  select
    page.*, row_number() over in_order as place, count(*) over () as found,
    sum(octet_length(body)::bigint) over (in_order rows unbounded preceding) as upto
  from (
    select seq, kind, schema, body, hash
    from events
    where shard = $1 and stream = $2 and seq > $3
    order by seq
    limit $4
  ) page
  window in_order as (order by seq)
) counted
where place = 1 or upto <= $5::bigint
order by seq
