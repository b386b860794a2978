delete from join_tokens where token_id in (
  select token_id from join_tokens where expires_at <= now() - interval '7 days' order by expires_at limit $1)
