select sum(fulcrum_make_day((to_timestamp(ms / 1000.0) at time zone 'UTC')::date))::bigint as "made!"
from unnest($1::bigint[]) as ms
