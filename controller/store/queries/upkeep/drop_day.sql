select fulcrum_drop_day(date '1970-01-01' + $1::integer) as "dropped!"
