-- From the level at which keys are sealed on, builds that cannot open them may not start.
update versions
set schema = $1, readable_from = needed.oldest
from (
  select case when feature_level >= $3::integer then greatest($2::bigint, $4::bigint) else $2::bigint end as oldest
  from versions
) needed
where schema is distinct from $1 or readable_from is distinct from needed.oldest
