-- Sent as a simple query: there, outside a transaction, both times are the arrival of this very message. A server that
-- has become a standby, or was set read-only, is no use to us either.
select now() = statement_timestamp() and current_setting('transaction_read_only') = 'off'
