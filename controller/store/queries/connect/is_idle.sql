select now() = statement_timestamp() as "idle!"
