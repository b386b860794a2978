select timer_id, run_id, root_id, step, purpose as "purpose: TimerPurposeColumn", fires_at as "fires_at: At"
from timers
where fires_at <= now()
  and (fires_at, timer_id) > (coalesce($2::timestamptz, '-infinity'), coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
order by fires_at, timer_id
limit $1
