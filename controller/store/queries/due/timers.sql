select timer_id, run_id, root_id, step, purpose as "purpose: TimerPurposeColumn", fires_at as "fires_at: At"
from timers
where fires_at <= now()
order by fires_at, timer_id
limit $1
