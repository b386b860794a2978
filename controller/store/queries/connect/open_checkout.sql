begin;
set local client_min_messages = error;
deallocate all
