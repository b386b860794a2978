select fulcrum_delete_run_batch(date '1970-01-01' + $1::integer, $2) as "deleted!"
