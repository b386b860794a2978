select exists (select from versions where schema = $1 and readable_from <= $2) as "admits!"
