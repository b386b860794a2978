-- The same for one transaction.
set local enable_seqscan = off; set local enable_hashjoin = off; set local enable_mergejoin = off;
set local statement_timeout = '5s'
