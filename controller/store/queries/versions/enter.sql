-- A controller says that it is there. What it learns is read in the same transaction.
insert into controllers (controller_id, build, schema, level_max) values ($1, $2, $3, $4)
on conflict (controller_id) do update
  set last_seen_at = now(), build = excluded.build, schema = excluded.schema, level_max = excluded.level_max
