select
  current_setting('server_version') as "version!",
  current_setting('fsync') = 'on' as "fsync!",
  current_setting('synchronous_commit') <> 'off' as "synchronous_commit!",
  current_setting('full_page_writes') = 'on' as "full_page_writes!",
  current_setting('autovacuum') = 'on' as "autovacuum!",
  current_setting('max_connections')::integer as "connections_max!",
  (select count(*) from pg_stat_activity where backend_type = 'client backend') as "connections!",
  clock_timestamp() as "now!: At"
