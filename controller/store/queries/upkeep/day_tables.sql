select name as "name!", parent as "parent!", attached as "attached!", detaching as "detaching!"
from fulcrum_day_tables()
where day = date '1970-01-01' + $1::integer
order by 1
