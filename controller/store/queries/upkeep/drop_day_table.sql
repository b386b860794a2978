select fulcrum_drop_day_table($1) as "dropped!"
