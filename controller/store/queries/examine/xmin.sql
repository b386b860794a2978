-- Whoever keeps vacuum from removing dead rows: a transaction, a replication slot, a prepared transaction.
select holder as "holder!", age as "age!", (extract(epoch from since) * 1000)::bigint as "held_ms"
from (
  select format('transaction of pid %s (%s, %s)', pid, coalesce(nullif(application_name, ''), 'no name'), state) as holder,
    age(backend_xmin)::bigint as age, clock_timestamp() - xact_start as since
  from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid()
  union all
  select format('replication slot %s', slot_name), age(coalesce(xmin, catalog_xmin))::bigint, null
  from pg_replication_slots where coalesce(xmin, catalog_xmin) is not null
  union all
  select format('prepared transaction %s', gid), age(transaction)::bigint, clock_timestamp() - prepared
  from pg_prepared_xacts
) h
order by since desc nulls last, age desc
limit 1
