-- Workflows by name, each with its current version but not its source. Bounded in bytes too: the first comes whatever its size.
select
  namespace_id as "namespace_id!", hash as "hash!", workflow as "workflow!", version as "version!",
  canonical as "canonical!", source as "source!", created_at as "created_at!: At", created_by as "created_by!",
  found as "found!"
from (
  select
    page.*, row_number() over in_order as place, count(*) over () as found,
    sum(octet_length(canonical)::bigint) over (in_order rows unbounded preceding) as upto
  from (
    select d.namespace_id, d.hash, d.workflow, d.version, d.canonical, ''::text as source, d.created_at, d.created_by
    from workflows w
    join definitions d on d.namespace_id = w.namespace_id and d.hash = w.current_hash
    where w.namespace_id = $1 and w.workflow > $2
    order by w.workflow
    limit $3
  ) page
  window in_order as (order by workflow)
) counted
where place = 1 or upto <= $4::bigint
order by workflow
