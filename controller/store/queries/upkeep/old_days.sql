-- Days past their time that are not gone yet, oldest first.
select (d.day - date '1970-01-01')::integer as "day!"
from fulcrum_days() as d(day)
where d.day < (now() at time zone 'UTC')::date - $1::integer
order by 1
