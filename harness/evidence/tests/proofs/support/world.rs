//! A correct runtime and its clients, simulated: two logs, positions in them, and one clock.
//!
//! Written from the contract, not from the oracle: a log is a list, a socket is a position in it,
//! and a reply comes when everything up to the head at the subscribe has been pushed. Whoever drives
//! it decides what happens next; whatever that is, the runtime stays correct.

use std::collections::{BTreeMap, BTreeSet};

use khala_evidence::Record;
use khala_evidence::record::{Cut, Micros, OfflineCause, OpKind, Outcome, PublishId, Source};
use khala_plan::model::Generator;
use khala_wire::TopicKind;
use khala_wire::canonical::digest64;
use khala_wire::topic::TopicId;

use super::records::{self, Entry};

/// How long a state may lag behind its event, at the most.
pub const STATE_LAG_MAX_US: Micros = 150_000;
/// How long a state may wait at a client that is live, at the most.
const STATES_PUSHED_EVERY_US: Micros = 10_000;
/// What each step of a handshake takes.
const HANDSHAKE_US: Micros = 300;

/// What becomes of a command.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// Accepted, and acknowledged so much later.
    Acknowledged { after_us: Micros },
    /// Accepted, but the answer never came.
    Unanswered,
    /// Not accepted.
    Refused,
    /// A seq was allocated on each topic, and nothing inserted.
    NotInserted,
}

/// With which cursors a client subscribes.
#[derive(Clone, Copy, Debug)]
pub enum Resume {
    /// Those that it has.
    Kept,
    /// Older ones, by so many seqs.
    Older(u64),
    /// None, as after a lost cursor.
    Forgotten,
}

/// Where a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Offline,
    Replaying,
    Live,
    Retired,
}

#[derive(Debug)]
struct Client {
    topics: Vec<TopicId>,
    stage: Stage,
    epoch: u32,
    attempts: u32,
    subscribed_at: Micros,
    /// What it would resume from.
    cursors: BTreeMap<TopicId, u64>,
    /// Where its socket stands.
    positions: BTreeMap<TopicId, u64>,
    /// Head when the subscribe was taken: what the replay must reach.
    owed: BTreeMap<TopicId, u64>,
    /// The last update of the epoch, by topic.
    last: BTreeMap<TopicId, Entry>,
}

/// The runtime, its clients, and what has been recorded.
#[derive(Debug)]
pub struct World {
    pub now: Micros,
    pub records: Vec<Record>,
    logs: BTreeMap<TopicId, Vec<Entry>>,
    /// Seqs of the logs that hold nothing.
    holes: BTreeSet<(TopicId, u64)>,
    /// Seqs that a subscription without a cursor no longer gets.
    trimmed: u64,
    clients: Vec<Client>,
    /// Highest seq that any client has seen.
    seen: BTreeMap<TopicId, u64>,
    /// Latest event of each worker.
    workers: Vec<u64>,
    /// States on their way: due, worker, version.
    states: Vec<(Micros, u16, u64)>,
    /// Answers to commands on their way.
    answers: Vec<(Micros, Record)>,
    commands: u32,
    generator: Generator,
    /// Threads that stand still: since when, and until when.
    asleep: BTreeMap<u16, (Micros, Micros)>,
    /// Whether states are being pushed.
    pushing: bool,
}

/// A digest of anything that can be shown.
fn digest(of: impl std::fmt::Debug) -> u64 {
    digest64(format!("{of:?}").as_bytes())
}

/// The digest of a planned publish's payload.
pub fn payload_of(publish: u32) -> u64 {
    digest(("payload", publish))
}

impl World {
    /// A runtime with a history of others, of which the first `trimmed` seqs are gone, and workers
    /// that were made before the run.
    pub fn new(
        generator: &Generator,
        topics: Vec<Vec<TopicId>>,
        workers: u16,
        history: u64,
        trimmed: u64,
    ) -> Self {
        let clients = topics
            .into_iter()
            .map(|topics| Client {
                topics,
                stage: Stage::Offline,
                epoch: 0,
                attempts: 0,
                subscribed_at: 0,
                cursors: BTreeMap::new(),
                positions: BTreeMap::new(),
                owed: BTreeMap::new(),
                last: BTreeMap::new(),
            })
            .collect();
        let mut world = Self {
            now: 0,
            records: Vec::new(),
            logs: BTreeMap::new(),
            holes: BTreeSet::new(),
            trimmed: trimmed.min(history),
            clients,
            seen: BTreeMap::new(),
            workers: vec![0; usize::from(workers)],
            states: Vec::new(),
            answers: Vec::new(),
            commands: 0,
            generator: generator.clone(),
            asleep: BTreeMap::new(),
            pushing: false,
        };
        for topic in [records::stream(), records::state()] {
            (0..history).for_each(|_| world.foreign(topic));
        }
        for worker in 0..workers {
            let id = PublishId::Lifecycle { worker, seq: 1 };
            world.records.push(records::published(id, worker, 0, 0, Some(1), 0));
            world.accept(worker, id, None, 0, 0);
        }
        world
    }

    /// Number of clients.
    pub fn clients(&self) -> u32 {
        u32::try_from(self.clients.len()).expect("few clients")
    }

    pub fn stage(&self, client: u32) -> Stage {
        self.clients[client as usize].stage
    }

    pub fn topics(&self, client: u32) -> Vec<TopicId> {
        self.clients[client as usize].topics.clone()
    }

    fn client(&mut self, client: u32) -> &mut Client {
        &mut self.clients[client as usize]
    }

    fn head(&self, topic: TopicId) -> u64 {
        self.logs.get(&topic).map_or(0, |log| log.len() as u64)
    }

    /// A thread of the generator stands still from now on: its clients do nothing meanwhile, and answers
    /// to commands are read when it is over.
    pub fn stall(&mut self, thread: u16, us: Micros) {
        let (from, until) = (self.now, self.now + us);
        if self.asleep.contains_key(&thread) {
            return;
        }
        self.asleep.insert(thread, (from, until));
        if thread != self.generator.publisher_thread() {
            return;
        }
        for (at, answer) in &mut self.answers {
            let read_at = until.max(*at);
            *at = read_at;
            if let Record::Published(published) = answer {
                published.done = read_at;
            }
        }
    }

    /// Waits until the thread of a client does something again.
    pub fn wake(&mut self, client: u32) {
        self.wake_thread(self.generator.thread_of(client));
    }

    /// Waits until the publishers' thread does something again.
    pub fn wake_publisher(&mut self) {
        self.wake_thread(self.generator.publisher_thread());
    }

    fn wake_thread(&mut self, thread: u16) {
        if let Some(&(_, until)) = self.asleep.get(&thread) {
            self.advance(until);
        }
    }

    /// Waits until all threads do something again.
    pub fn wake_all(&mut self) {
        let last = self.asleep.values().map(|(_, until)| *until).max();
        self.advance(last.unwrap_or(self.now));
    }

    /// Lets time pass: stalls are over, answers to commands arrive, states settle and reach all who are
    /// live and awake.
    pub fn advance(&mut self, to: Micros) {
        while !self.pushing && self.now + STATES_PUSHED_EVERY_US < to {
            self.pass(self.now + STATES_PUSHED_EVERY_US);
            self.push_states();
        }
        self.pass(to);
        self.push_states();
    }

    fn push_states(&mut self) {
        if std::mem::replace(&mut self.pushing, true) {
            return;
        }
        for client in 0..self.clients() {
            let asleep = self.asleep.contains_key(&self.generator.thread_of(client));
            let has_it = self.clients[client as usize].topics.contains(&records::state());
            let live = self.stage(client) == Stage::Live;
            while live && has_it && !asleep && self.behind(client, records::state()) {
                self.push(client, records::state(), true);
            }
        }
        self.pushing = false;
    }

    fn pass(&mut self, to: Micros) {
        let to = to.max(self.now);
        // Told before anything else that the thread does.
        let records = &mut self.records;
        self.asleep.retain(|&thread, &mut (from, until)| {
            if until <= to {
                records.push(records::stall(thread, from, until));
            }
            until > to
        });
        let mut due: Vec<(Micros, Record)> = Vec::new();
        self.answers.retain(|(at, record)| {
            if *at <= to {
                due.push((*at, record.clone()));
            }
            *at > to
        });
        due.sort_by_key(|(at, _)| *at);
        self.records.extend(due.into_iter().map(|(_, record)| record));
        self.states.sort_unstable();
        let settled = self.states.partition_point(|(at, ..)| *at <= to);
        let states: Vec<_> = self.states.drain(..settled).collect();
        for (_, worker, version) in states {
            let source = Source::State { worker, version };
            self.append(records::state(), digest(source), true, source);
        }
        self.now = to;
    }

    pub fn tick(&mut self, us: Micros) -> Micros {
        self.advance(self.now + us);
        self.now
    }

    fn append(&mut self, topic: TopicId, content: u64, hash_fits: bool, source: Source) {
        let log = self.logs.entry(topic).or_default();
        let seq = log.len() as u64 + 1;
        log.push(Entry { topic, seq, content, hash_fits, source });
    }

    fn accept(
        &mut self,
        worker: u16,
        publish: PublishId,
        intended: Option<Micros>,
        payload: u64,
        state_lag_us: Micros,
    ) {
        self.workers[usize::from(worker)] += 1;
        let source =
            Source::Event { publish, intended, begun: intended, payload, worker_seq: None };
        self.append(records::stream(), digest(source), true, source);
        let version = self.workers[usize::from(worker)];
        // A document's versions settle in their order.
        let earlier = self.states.iter().filter(|(_, w, _)| *w == worker).map(|(at, ..)| *at).max();
        let due = (self.now + state_lag_us.min(STATE_LAG_MAX_US)).max(earlier.unwrap_or(0));
        self.states.push((due, worker, version));
    }

    /// A planned command, due at `intended`.
    pub fn publish(&mut self, worker: u16, intended: Micros, fate: Fate, state_lag_us: Micros) {
        let worker = worker % u16::try_from(self.workers.len()).expect("few workers");
        let n = self.commands;
        self.commands += 1;
        self.tick(50);
        let (id, payload) = (PublishId::Planned(n), payload_of(n));
        if matches!(fate, Fate::NotInserted) {
            for topic in [records::stream(), records::state()] {
                self.append(topic, 0, true, Source::Foreign);
                let hole = self.head(topic);
                self.holes.insert((topic, hole));
            }
        } else if !matches!(fate, Fate::Refused) {
            self.accept(worker, id, Some(intended), payload, state_lag_us);
        }
        let seq = self.workers[usize::from(worker)];
        let (done, answer) = match fate {
            Fate::Acknowledged { after_us } => (self.now + after_us, Some(seq)),
            Fate::Unanswered | Fate::Refused | Fate::NotInserted => (self.now + 5_000, None),
        };
        let record = records::published(id, worker, intended, done, answer, payload);
        self.answers.push((done, record));
    }

    /// An update of somebody else's; a hash need not fit what the harness did not write.
    pub fn foreign(&mut self, topic: TopicId) {
        let seq = self.head(topic) + 1;
        let hash_fits = !seq.is_multiple_of(3);
        self.append(topic, digest(("foreign", topic, seq)), hash_fits, Source::Foreign);
    }

    /// A connect that the runtime does not take.
    pub fn fail_connect(&mut self, client: u32) {
        assert_eq!(self.stage(client), Stage::Offline);
        let begun = self.begin_connect(client);
        let done = self.tick(HANDSHAKE_US);
        let failed = Outcome::ConnectionFailed;
        self.records.push(records::op(client, OpKind::Connect, begun, done, failed));
    }

    fn begin_connect(&mut self, client: u32) -> Micros {
        let at = self.tick(10);
        self.client(client).attempts += 1;
        let attempts = self.client(client).attempts;
        self.records.push(records::connect_begun(client, at, attempts));
        at
    }

    /// Connects, joins and sends a subscribe.
    pub fn connect(&mut self, client: u32, resume: Resume) {
        assert_eq!(self.stage(client), Stage::Offline);
        let intended = self.begin_connect(client);
        for kind in [OpKind::Mint, OpKind::Connect, OpKind::Join] {
            let done = self.tick(HANDSHAKE_US);
            self.records.push(records::op(client, kind, intended, done, Outcome::Ok));
            if kind == OpKind::Connect {
                self.records.push(records::connected(client, done));
            }
        }
        self.subscribe(client, resume);
    }

    fn subscribe(&mut self, client: u32, resume: Resume) {
        let at = self.tick(HANDSHAKE_US);
        let topics = self.topics(client);
        let mut sent = Vec::new();
        for &topic in &topics {
            let known = self.client(client).cursors.get(&topic).copied();
            let cursor = match resume {
                Resume::Kept => known,
                // A cursor below what is retained would be refused.
                Resume::Older(by) => known.map(|seq| seq.saturating_sub(by).max(self.trimmed)),
                Resume::Forgotten => None,
            };
            sent.push((topic, cursor, self.seen.get(&topic).copied().unwrap_or(0)));
            let (head, floor) = (self.head(topic), self.trimmed);
            let me = self.client(client);
            me.positions.insert(topic, cursor.unwrap_or(floor));
            me.owed.insert(topic, head);
        }
        let me = self.client(client);
        me.epoch += 1;
        me.stage = Stage::Replaying;
        me.subscribed_at = at;
        me.last.clear();
        let epoch = me.epoch;
        self.records.push(records::subscribe_sent(client, epoch, at, &sent));
    }

    /// Pushes the next update of a topic; a superseded state may be left out.
    pub fn push(&mut self, client: u32, topic: TopicId, coalesce: bool) {
        let live = self.stage(client) == Stage::Live;
        let position = self.client(client).positions[&topic];
        let end = if live { self.head(topic) } else { self.client(client).owed[&topic] };
        let log = &self.logs[&topic];
        let mut ahead = log[..end as usize].iter().skip(position as usize);
        let superseded = |entry: &Entry| match entry.source {
            Source::State { worker, .. } => log[entry.seq as usize..end as usize].iter().any(
                |later| matches!(later.source, Source::State { worker: w, .. } if w == worker),
            ),
            _ => false,
        };
        let skips = coalesce && topic.kind() == TopicKind::State;
        let is_hole = |entry: &Entry| self.holes.contains(&(topic, entry.seq));
        let left_out = |entry: &Entry| is_hole(entry) || skips && superseded(entry);
        match ahead.find(|entry| !left_out(entry)).copied() {
            Some(entry) => self.deliver(client, &entry),
            None => drop(self.client(client).positions.insert(topic, end)),
        }
    }

    fn deliver(&mut self, client: u32, entry: &Entry) {
        let at = self.tick(20);
        let me = self.client(client);
        me.positions.insert(entry.topic, entry.seq);
        me.last.insert(entry.topic, *entry);
        let cursor = me.cursors.entry(entry.topic).or_default();
        *cursor = entry.seq.max(*cursor);
        let epoch = me.epoch;
        let seen = self.seen.entry(entry.topic).or_default();
        *seen = entry.seq.max(*seen);
        self.records.push(records::delivered(client, epoch, at, entry));
    }

    /// Pushes again what was pushed last.
    pub fn repeat(&mut self, client: u32, topic: TopicId) {
        if let Some(entry) = self.client(client).last.get(&topic).copied() {
            self.deliver(client, &entry);
        }
    }

    fn behind(&self, client: u32, topic: TopicId) -> bool {
        let me = &self.clients[client as usize];
        let end = if me.stage == Stage::Live { self.head(topic) } else { me.owed[&topic] };
        me.positions[&topic] < end
    }

    /// Pushes everything that there is for a client.
    pub fn push_all(&mut self, client: u32, coalesce: bool) {
        for topic in self.topics(client) {
            while self.behind(client, topic) {
                self.push(client, topic, coalesce);
            }
        }
    }

    /// Completes a replay: pushes what is left of it, then the ok reply.
    pub fn reply(&mut self, client: u32, coalesce: bool) {
        assert_eq!(self.stage(client), Stage::Replaying);
        self.push_all(client, coalesce);
        let at = self.tick(HANDSHAKE_US);
        let me = self.client(client);
        me.stage = Stage::Live;
        me.attempts = 0;
        let (epoch, sent_at) = (me.epoch, me.subscribed_at);
        let marks: Vec<(TopicId, u64)> = me.positions.iter().map(|(&t, &seq)| (t, seq)).collect();
        for &(topic, seq) in &marks {
            me.cursors.entry(topic).or_insert(seq);
        }
        self.records.push(records::op(client, OpKind::Subscribe, sent_at, at, Outcome::Ok));
        self.records.push(records::subscribe_ok(client, epoch, at, &marks));
    }

    /// A heartbeat and its answer.
    pub fn beat(&mut self, client: u32) {
        let sent = self.now;
        let done = self.tick(HANDSHAKE_US);
        self.records.push(records::op(client, OpKind::Heartbeat, sent, done, Outcome::Ok));
    }

    /// A planned fault cuts the client's socket.
    pub fn cut(&mut self, client: u32, fault: u16, intended: Micros) {
        let at = self.tick(10);
        self.client(client).stage = Stage::Offline;
        self.records.push(records::cut(client, at, fault, intended.min(at)));
    }

    /// The client's socket breaks.
    pub fn lose(&mut self, client: u32) {
        self.end(client, OfflineCause::Broken { how: Cut::Eof });
    }

    /// The client's socket ends.
    pub fn end(&mut self, client: u32, cause: OfflineCause) {
        let at = self.tick(10);
        self.client(client).stage = Stage::Offline;
        self.records.push(records::offline(client, at, cause));
    }

    /// A worker thread's timer fired late.
    pub fn lag(&mut self, lag_us: Micros) {
        self.records.push(records::lag(self.now, lag_us));
    }

    /// All answers arrive, all states settle, and whoever has a socket gets everything.
    pub fn drain(&mut self, coalesce: bool) {
        let last = self.answers.iter().map(|(at, _)| *at).max().unwrap_or(self.now);
        self.advance(last.max(self.now + STATE_LAG_MAX_US));
        for client in 0..self.clients() {
            if self.stage(client) == Stage::Replaying {
                self.reply(client, coalesce);
            }
            if self.stage(client) == Stage::Live {
                self.push_all(client, coalesce);
            }
        }
    }

    /// Takes every client out of the run.
    pub fn retire(&mut self) {
        for client in 0..self.clients() {
            let at = self.tick(10);
            let connected = matches!(self.stage(client), Stage::Live | Stage::Replaying);
            self.client(client).stage = Stage::Retired;
            self.records.push(records::retired(client, at, connected));
        }
    }
}
