select
  count(distinct day) filter (where day < (now() at time zone 'UTC')::date) as "past!",
  (select count(*) from fulcrum_day_tables() where not attached or detaching) as "half_gone!",
  (now() at time zone 'UTC')::date - min(day) as "oldest_age_days"
from fulcrum_day_tables()
