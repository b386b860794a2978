with tiles as (
  insert into audit_tiles (level, index, hashes) select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])
), batch as (
  insert into audit_batches (first, leaves, body, note) values ($4, $5, $6, $7)
)
update audit_log set size = $4 + $5, edge = $8, note = $7, signed_at = now()
