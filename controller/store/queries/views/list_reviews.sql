-- Everything ever asked, newest first.
select
  review_id, namespace_id, run_id, step, state as "state: ReviewStateColumn", content_id, content_hash, content_bytes,
  show_id, show_hash, show_bytes, editable, asked_at as "asked_at: At", expires_at as "expires_at: At",
  closed_at as "closed_at: At"
from reviews
where namespace_id = $1 and (asked_at, review_id) < ($2, $3) and ($4::uuid is null or run_id = $4)
order by asked_at desc, review_id desc
limit $5
