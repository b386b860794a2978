select install_id, paging_key from installation
