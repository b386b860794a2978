select at as "at!: At", kind as "kind!: AlarmKindColumn", detail as "detail!"
from alarms
where at > now() - interval '7 days'
order by alarm_id desc
limit 5
