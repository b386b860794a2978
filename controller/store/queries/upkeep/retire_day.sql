-- See the migration that made it. What the day held is told when it was logged just now.
select
  retired as "retired!", runs as "runs?", encode(root, 'hex') as "root?",
  to_char(date '1970-01-01' + $1::integer, 'YYYY-MM-DD') as "day!"
from fulcrum_retire_day_2(date '1970-01-01' + $1::integer, $2::integer * interval '1 day')
