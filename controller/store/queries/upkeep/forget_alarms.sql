delete from alarms where alarm_id <= (select max(alarm_id) - $1 from alarms)
