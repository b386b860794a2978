-- Holds the row to the end of this transaction: nobody else becomes leader meanwhile.
update upkeep_leadership set held_until = greatest(held_until, now() + $3::bigint * interval '1 ms')
where holder = $1 and epoch = $2
