-- How long ago another controller than this one was there, in milliseconds; null if none is known of.
select (extract(epoch from clock_timestamp() - max(last_seen_at)) * 1000)::bigint
from controllers
where controller_id <> $1
