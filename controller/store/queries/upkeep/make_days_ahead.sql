select fulcrum_make_days_ahead($1) as "made!"
