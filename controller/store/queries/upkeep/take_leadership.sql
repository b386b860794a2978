-- Whoever holds it keeps it; another gets it, with a new epoch, once it has run out.
update upkeep_leadership
set epoch = epoch + (holder is distinct from $1)::integer, holder = $1, held_until = now() + $2::bigint * interval '1 ms'
where holder = $1 or held_until < now()
returning epoch
