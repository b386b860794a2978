-- Days from today for which partitions stand ready, without a gap.
select count(*) as "days!"
from (
  select d.day, row_number() over (order by d.day) as n
  from fulcrum_days() as d(day)
  where d.day >= (now() at time zone 'UTC')::date
) r
where r.day = (now() at time zone 'UTC')::date + (r.n - 1)::integer
