select fulcrum_log_day(date '1970-01-01' + $1::integer) as "logged!"
