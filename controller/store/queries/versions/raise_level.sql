-- From the level at which keys are sealed on, builds that cannot open them may not start.
update versions
set feature_level = $1::integer, raised_at = now(),
  readable_from = case when $1::integer >= $2::integer then greatest(readable_from, $3::bigint) else readable_from end
