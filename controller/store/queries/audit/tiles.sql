select t.level, t.index, t.hashes
from unnest($1::smallint[], $2::bigint[]) as w(level, index)
join audit_tiles t using (level, index)
