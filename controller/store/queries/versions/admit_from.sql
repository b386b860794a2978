update versions set schema = $1, readable_from = $2 where schema is distinct from $1 or readable_from is distinct from $2
