-- Originals, and what copies of them are made by. An id begins with its birth (12 digits) and its shard (4); what belongs
-- to a run begins as its id does.
create schema chaos;

create table chaos.originals as
select
  row_number() over (order by r.run_id) as place, r.shard, r.run_id, replace(r.run_id::text, '-', '') as digits,
  l.kinds, l.schemas, l.bodies
from runs r
cross join lateral (
  select
    array_agg(e.kind order by e.seq) as kinds, array_agg(e.schema order by e.seq) as schemas,
    array_agg(encode(e.body, 'hex') order by e.seq) as bodies
  from fulcrum_timeline(r.shard, r.run_id) e
) l;

create table chaos.payloads as
select o.place, replace(p.payload_id::text, '-', '') as digits, p.hash, p.encoding, p.data
from chaos.originals o
join payloads p on p.shard = o.shard
  and p.payload_id between rpad(left(o.digits, 16), 32, '0')::uuid and rpad(left(o.digits, 16), 32, 'f')::uuid;

create table chaos.blobs as
select o.place, replace(b.payload_id::text, '-', '') as digits, b.hash, b.encoding, b.data
from chaos.originals o
join blobs b on b.shard = o.shard
  and b.payload_id between rpad(left(o.digits, 16), 32, '0')::uuid and rpad(left(o.digits, 16), 32, 'f')::uuid;

-- The timeline of an original's copy.
create function chaos.timeline(kinds smallint[], schemas smallint[], bodies text[], was text, run text)
returns table (seq bigint, kind smallint, schema smallint, body bytea, hash bytea)
language plpgsql immutable as $$
declare
  was_family text := left(was, 16);
  family     text := left(run, 16);
  stream     bytea := decode(run, 'hex');
begin
  hash := decode(repeat('00', 32), 'hex');
  for nth in 1 .. cardinality(kinds) loop
    seq := nth;
    kind := kinds[nth];
    schema := schemas[nth];
    body := decode(replace(bodies[nth], was_family, family), 'hex');
    hash := sha256(hash || stream || int8send(seq) || int2send(kind) || int2send(schema) || body);
    return next;
  end loop;
end
$$;

-- Fills a day with so many events, or a few more. Gives the day, its runs, its events, and the hash over their last ones.
create function chaos.fill(day date, events_min bigint) returns text
language plpgsql as $$
declare
  each   bigint := (select sum(cardinality(kinds)) from chaos.originals);
  beside bigint := (select count(*) from chaos.originals);
  times  bigint := (events_min + each - 1) / each;
  first  bigint := extract(epoch from day::timestamp)::bigint * 1000 + 60000;
  -- All of them before the last hour of the day.
  apart  bigint := 80000000 / (times * beside);
  root   bytea;
begin
  if apart < 1 then
    raise exception 'too many runs for a day';
  end if;
  perform fulcrum_make_day(day);
  create temporary table made on commit drop as
  select
    o.place, o.shard, lpad(to_hex(born), 12, '0') || substr(o.digits, 13) as digits, born, 'past-' || born as key
  from chaos.originals o
  cross join generate_series(0, times - 1) n
  cross join lateral (select first + (n * beside + o.place - 1) * apart as born) b
  order by born;
  insert into events (shard, stream, seq, kind, schema, body, hash)
  select m.shard, m.digits::uuid, t.*
  from made m
  join chaos.originals o using (place)
  cross join lateral chaos.timeline(o.kinds, o.schemas, o.bodies, o.digits, m.digits) t;
  insert into payloads (shard, payload_id, hash, encoding, data)
  select m.shard, (left(m.digits, 16) || substr(p.digits, 17))::uuid, p.hash, p.encoding, p.data
  from made m join chaos.payloads p using (place);
  insert into blobs (shard, payload_id, hash, encoding, data)
  select m.shard, (left(m.digits, 16) || substr(p.digits, 17))::uuid, p.hash, p.encoding, p.data
  from made m join chaos.blobs p using (place);
  insert into runs (shard, run_id, namespace_id, root_id, parent_id, workflow, definition, status, version, last_seq, chain,
    commit_id, started_at, closed_at, idempotency_key)
  select
    r.shard, m.digits::uuid, r.namespace_id, m.digits::uuid, null, r.workflow, r.definition, r.status, r.version,
    r.last_seq, e.hash, r.commit_id, to_timestamp(m.born / 1000.0), to_timestamp(m.born / 1000.0 + 1), m.key
  from made m
  join chaos.originals o using (place)
  join runs r on r.shard = o.shard and r.run_id = o.run_id
  cross join lateral (
    select hash from events where shard = o.shard and stream = m.digits::uuid and seq = r.last_seq
  ) e
  order by m.born;
  select sha256(string_agg(chain, ''::bytea order by run_id)) into root
  from made m join runs r on r.shard = m.shard and r.run_id = m.digits::uuid;
  return concat_ws(' ', day, times * beside, times * each, encode(root, 'hex'));
end
$$;
