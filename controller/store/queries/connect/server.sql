select
  current_setting('server_version_num')::integer as "version_num!",
  current_setting('server_version') as "version!",
  current_setting('fsync') as "fsync!",
  current_setting('synchronous_commit') as "synchronous_commit!"
