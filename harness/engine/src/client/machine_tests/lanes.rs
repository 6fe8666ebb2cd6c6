//! The machine on lanes that there are not yet: told by hand what their dialects would tell it.

use std::rc::Rc;
use std::sync::Arc;

use khala_evidence::record::{OpKind, Outcome, Record, StaleReason, StaleTopic};
use khala_plan::model::SnapshotPath;
use khala_plan::surface::Surface;
use khala_wire::topic::TopicId;

use super::rig::{ARRIVAL, CLIENT, HEARTBEAT, SECOND, settings, summaries};
use crate::client::contents::Known;
use crate::client::machine::spoken::{Ask, Came, Event, Manners, Refusal, Stale, Subscribe, Why};
use crate::client::machine::{Action, Machine, Phase, Settings};
use crate::client::reader::Reader;
use crate::client::world::World;
use crate::heads::{Heads, LocalHeads};

/// HTTP polling: nobody joins, and a poll that is answered is all the heartbeat there is.
const POLLING: Manners = Manners { joins: false, heartbeats: false, pings: false, no_cursor: None };
/// A socket a scope, whose own ping is the heartbeat.
const SCOPES: Manners = Manners { heartbeats: true, ..POLLING };

struct Lane {
    machine: Machine,
    records: Vec<Record>,
    reader: Reader,
    heads: LocalHeads,
    now: u64,
}

impl Lane {
    fn with(manners: Manners, snapshot: SnapshotPath) -> Self {
        let topics = vec![summaries()];
        let settings = Settings { manners, topics, snapshot, ..settings(Surface::Desktop) };
        Self {
            machine: Machine::new(CLIENT, Rc::new(settings), ARRIVAL),
            records: Vec::new(),
            reader: Reader::new(Known { run_id: "run".to_owned(), ..Known::default() }),
            heads: LocalHeads::new(Arc::new(Heads::new(8, 4))),
            now: ARRIVAL,
        }
    }

    fn act(
        &mut self,
        act: impl FnOnce(&mut Machine, u64, &mut World<'_, Vec<Record>>) -> Action,
    ) -> Action {
        let (reader, heads) = (&mut self.reader, &self.heads);
        act(&mut self.machine, self.now, &mut World { sink: &mut self.records, reader, heads })
    }

    fn told(&mut self, event: Event<'_>) -> Action {
        self.act(|machine, now, world| machine.told(event, Came { read_at: now, now }, world))
    }

    fn connect(&mut self) -> Action {
        assert_eq!(self.act(|machine, now, world| machine.tick(now, world)), Action::Connect);
        self.act(|machine, now, world| machine.connected(now, now + 5, world))
    }

    fn live(manners: Manners, snapshot: SnapshotPath) -> Self {
        let mut lane = Self::with(manners, snapshot);
        lane.connect();
        assert_eq!(lane.told(Event::Subscribed(Some(vec![(summaries(), 7)]))), Action::None);
        assert!(lane.machine.is_live());
        lane
    }

    fn ops(&self) -> Vec<OpKind> {
        let op = |record: &Record| match record {
            Record::Op(op) => Some(op.kind),
            _ => None,
        };
        self.records.iter().filter_map(op).collect()
    }
}

fn subscribe(cursors: &[(TopicId, u64)]) -> Action {
    let (topics, batch_size) = (vec![summaries()], Surface::REPLAY_BATCH_SIZE);
    let seen = vec![(summaries(), 0)];
    Action::Ask(Ask::Subscribe(Subscribe { topics, cursors: cursors.to_vec(), seen, batch_size }))
}

/// All must be fetched again, and nobody says why.
fn must_refetch(snapshots: Vec<TopicId>) -> Stale {
    let topic = StaleTopic {
        topic: summaries(),
        reason: StaleReason::Unsaid,
        cursor: 7,
        floor: None,
        head: None,
        budget: None,
        lag: None,
        tier: None,
    };
    Stale { topics: vec![topic], snapshots }
}

#[test]
fn where_nobody_joins_the_subscribe_comes_first_and_no_join_is_recorded() {
    let mut lane = Lane::with(POLLING, SnapshotPath::Http);
    assert_eq!(lane.connect(), subscribe(&[]));
    lane.told(Event::Subscribed(Some(vec![(summaries(), 7)])));
    assert!(lane.machine.is_live());
    assert_eq!(lane.ops(), [OpKind::Connect, OpKind::Subscribe]);
    let came_back = Lane::live(POLLING, SnapshotPath::Http);
    assert_eq!(came_back.machine.cursor(summaries()), Some(7));
}

#[test]
fn a_lane_without_heartbeats_wakes_nobody_and_one_without_pings_asks_once() {
    let lane = Lane::live(POLLING, SnapshotPath::Http);
    assert_eq!(lane.machine.deadline(), u64::MAX);
    let mut lane = Lane::live(SCOPES, SnapshotPath::Http);
    lane.now = lane.machine.deadline();
    assert_eq!(lane.now, ARRIVAL + 5 + HEARTBEAT);
    assert_eq!(
        lane.act(|machine, now, world| machine.tick(now, world)),
        Action::Ask(Ask::Heartbeat)
    );
    assert_eq!(lane.told(Event::Beaten { ok: true, heads: Vec::new() }), Action::None);
    assert_eq!(lane.ops().last(), Some(&OpKind::Heartbeat));
    // The next one is not answered, and there is no session below that could speak for it.
    for expected in [Action::Ask(Ask::Heartbeat), Action::Close] {
        lane.now = lane.machine.deadline();
        assert_eq!(lane.act(|machine, now, world| machine.tick(now, world)), expected);
    }
}

#[test]
fn a_subscription_that_ends_as_stale_in_its_middle_begins_anew_without_its_cursor() {
    for snapshots in [vec![], vec![summaries()]] {
        let mut lane = Lane::live(SCOPES, SnapshotPath::Reset);
        lane.records.clear();
        assert_eq!(lane.told(Event::Stale(must_refetch(snapshots))), subscribe(&[]));
        let [Record::SubscribeStale { epoch: 1, .. }, Record::SubscribeSent { epoch: 2, .. }] =
            &lane.records[..]
        else {
            panic!("no subscribe was refused, so none has an end: {:?}", lane.records)
        };
        assert_eq!(lane.heads.shared().stale(), 1);
    }
}

#[test]
fn one_that_has_a_snapshot_is_brought_up_by_it() {
    let mut lane = Lane::live(SCOPES, SnapshotPath::Http);
    let stale = must_refetch(vec![summaries()]);
    assert_eq!(lane.told(Event::Stale(stale)), Action::Bootstrap(vec![summaries()]));
    assert!(lane.machine.is_bootstrapping() && lane.machine.phase() == Phase::Online);
    assert_eq!(lane.machine.cursor(summaries()), None);
}

#[test]
fn what_is_called_stale_while_nothing_is_in_force_ends_nothing() {
    let mut lane = Lane::with(SCOPES, SnapshotPath::Http);
    lane.connect();
    lane.records.clear();
    assert_eq!(lane.told(Event::Stale(must_refetch(vec![]))), Action::None);
    assert_eq!(lane.records, []);
    // As the answer to a subscribe it is a refusal.
    let why = Why::Stale(Ok(must_refetch(vec![])));
    lane.told(Event::Refused(Refusal { word: "must_refetch".to_owned(), why }));
    let refused = |record: &Record| match record {
        Record::Op(op) => op.outcome == Outcome::StaleCursor,
        _ => false,
    };
    assert!(lane.records.iter().any(refused), "{:?}", lane.records);
}

#[test]
fn an_answer_that_nobody_awaits_changes_nothing() {
    let mut lane = Lane::live(SCOPES, SnapshotPath::Http);
    lane.records.clear();
    lane.now += SECOND;
    for event in [
        Event::Joined,
        Event::Subscribed(Some(vec![(summaries(), 99)])),
        Event::Refused(Refusal { word: "no".to_owned(), why: Why::Auth }),
        Event::Unsubscribed(true),
        Event::Beaten { ok: true, heads: Vec::new() },
        Event::Pinged,
        Event::Passed(true),
    ] {
        let told = format!("{event:?}");
        assert_eq!(lane.told(event), Action::None, "{told}");
    }
    assert_eq!(lane.records, []);
    assert!(lane.machine.is_live());
    assert_eq!(lane.machine.cursor(summaries()), Some(7));
}

#[test]
fn the_machine_knows_no_word_of_a_lane() {
    let client = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client");
    let mut files = vec![client.join("machine.rs")];
    for entry in std::fs::read_dir(client.join("machine")).expect("it is there") {
        files.push(entry.expect("a file").path());
    }
    assert!(files.len() > 5, "{files:?}");
    let words = [
        "phx_",
        "sync:",
        "join_ref",
        "serde_json",
        "wire::frame",
        "wire::message",
        "wire::payload",
    ];
    for file in files {
        let text = std::fs::read_to_string(&file).expect("text");
        let found: Vec<_> = words.iter().filter(|word| text.contains(**word)).collect();
        assert!(found.is_empty(), "{} speaks a lane's language: {found:?}", file.display());
    }
}
