-- An open question stays as it is; one that was closed is asked anew.
insert into reviews (
  shard, review_id, namespace_id, run_id, step, state, content_id, content_hash, content_bytes, show_id, show_hash,
  show_bytes, editable, asked_at, expires_at)
select
  shard, review_id, namespace_id, run_id, step, 'open', content_id, content_hash, content_bytes, show_id, show_hash,
  show_bytes, editable, asked_at, expires_at
from unnest(
  $1::smallint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::uuid[], $7::bytea[], $8::bigint[], $9::uuid[],
  $10::bytea[], $11::bigint[], $12::boolean[], $13::timestamptz[], $14::timestamptz[])
  as r(shard, review_id, namespace_id, run_id, step, content_id, content_hash, content_bytes, show_id, show_hash,
    show_bytes, editable, asked_at, expires_at)
on conflict (shard, review_id) do update set
  state = 'open', content_id = excluded.content_id, content_hash = excluded.content_hash,
  content_bytes = excluded.content_bytes, show_id = excluded.show_id, show_hash = excluded.show_hash,
  show_bytes = excluded.show_bytes, editable = excluded.editable, asked_at = excluded.asked_at,
  expires_at = excluded.expires_at, closed_at = null
where reviews.state = 'closed'
