-- The tick goes by index, whatever the statistics of a young table say.
set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set statement_timeout = '5s'
