select
  review_id, namespace_id, run_id, step, state as "state: ReviewStateColumn", content_id, content_hash, content_bytes,
  show_id, show_hash, show_bytes, editable, asked_at as "asked_at: At", expires_at as "expires_at: At",
  closed_at as "closed_at: At"
from reviews
where shard = $1 and review_id = $2
