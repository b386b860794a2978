-- The batch that holds a place, and those after it.
select first, leaves, body, note
from audit_batches
where first >= coalesce((select max(first) from audit_batches where first <= $1), 0)
order by first
limit $2
