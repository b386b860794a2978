insert into installation (install_id, paging_key) values ($1, $2) on conflict do nothing
