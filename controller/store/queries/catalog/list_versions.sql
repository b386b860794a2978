-- Versions of a workflow, newest first, without their sources. Bounded in bytes too: the first comes whatever its size.
select
  namespace_id as "namespace_id!", hash as "hash!", workflow as "workflow!", version as "version!",
  canonical as "canonical!", source as "source!", created_at as "created_at!: At", created_by as "created_by!",
  found as "found!"
from (
  select
    page.*, row_number() over in_order as place, count(*) over () as found,
    sum(octet_length(canonical)::bigint) over (in_order rows unbounded preceding) as upto
  from (
    select namespace_id, hash, workflow, version, canonical, ''::text as source, created_at, created_by
    from definitions
    where namespace_id = $1 and workflow = $2 and version < $3
    order by version desc
    limit $4
  ) page
  window in_order as (order by version desc)
) counted
where place = 1 or upto <= $5::bigint
order by version desc
