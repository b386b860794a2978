-- Sent as a simple query: there, outside a transaction, both are the arrival of this very message.
select now() = statement_timestamp()
