select fulcrum_retire_day(date '1970-01-01' + $1::integer, $2::integer * interval '1 day') as "retired!"
