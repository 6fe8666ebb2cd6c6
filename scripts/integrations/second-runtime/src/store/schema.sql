-- A topic's row is its counter. The second and its count pace the publishers of all processes.
create table topics (
  topic text primary key,
  last_seq bigint not null default 0,
  paced_second bigint not null default 0,
  paced_count integer not null default 0
);

-- A floor is kept apart from the counter, so that pruning never waits for, or holds up, a publisher.
create table retention_floors (
  topic text primary key,
  floor bigint not null default 0
);

-- A reservation stands for a seq that is allocated and neither inserted nor known to have failed.
-- It is created in the transaction that moves the counter and removed in the one that inserts the
-- event, so in any snapshot every seq below the lowest reservation is final.
create table reservations (
  topic text not null,
  seq bigint not null,
  reserved_at timestamptz not null default clock_timestamp(),
  primary key (topic, seq)
);

create table events (
  topic text not null,
  seq bigint not null,
  doc_key text not null,
  doc_version bigint not null,
  payload text not null,
  payload_hash text not null,
  primary key (topic, seq)
);

create table workers (
  worker_id text primary key,
  owner_user_id bigint not null,
  latest_seq bigint not null,
  document text not null
);

create table revocations (
  kind text not null,
  id text not null,
  reason text not null,
  expires_at timestamptz not null,
  primary key (kind, id)
);

-- The pair of seqs of one event is reserved at once; no row comes back when the second is full.
create function reserve_pair(event_topic text, state_topic text, per_second integer)
returns table (event_seq bigint, state_seq bigint) language plpgsql as $$
declare
  this_second bigint := floor(extract(epoch from clock_timestamp()));
begin
  update topics set
      last_seq = last_seq + 1,
      paced_count = case when paced_second < this_second then 1 else paced_count + 1 end,
      paced_second = greatest(paced_second, this_second)
    where topic = event_topic and (paced_second < this_second or paced_count < per_second)
    returning last_seq into event_seq;
  if not found then return; end if;
  update topics set last_seq = last_seq + 1 where topic = state_topic
    returning last_seq into state_seq;
  insert into reservations (topic, seq) values (event_topic, event_seq), (state_topic, state_seq);
  return next;
end $$;

-- The settled head is the highest seq below which nothing can still appear.
create function settled_head(of_topic text) returns bigint language sql stable as $$
  select coalesce(
    (select min(seq) - 1 from reservations where topic = of_topic),
    (select last_seq from topics where topic = of_topic))
$$;
