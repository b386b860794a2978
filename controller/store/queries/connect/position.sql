-- Where the server stands in its write-ahead log. A standby has no position of its own: null.
select
  (select system_identifier from pg_control_system()) as system_identifier,
  case when not pg_is_in_recovery() then ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint end
    as timeline,
  case when not pg_is_in_recovery() then (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint end as flushed
