-- Days past their time that are not gone yet, oldest first.
select distinct (t.day - date '1970-01-01')::integer as "day!"
from fulcrum_day_tables() t
where t.day < (now() at time zone 'UTC')::date - $1::integer
order by 1
