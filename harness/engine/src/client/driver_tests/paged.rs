//! A lane whose snapshots have several pages, each a request and all of them one snapshot, and that has no ping.

use khala_evidence::record::{Micros, Request, Sink};
use khala_wire::snapshot::Snapshot;
use khala_wire::topic::TopicId;

use super::super::dialect::phoenix::Phoenix;
use super::super::dialect::{Page, Shelf, Taken};
use super::super::machine::Action;
use super::super::machine::spoken::{Ask, Came, Manners};
use super::super::machine_tests::rig::snapshot_at;
use super::super::world::World;
use super::*;
use crate::answer::Answer;
use crate::session::memory::Memory;
use crate::transport::DialError;

/// Phoenix, but for its snapshots and without its socket's heartbeat.
struct Paged(Phoenix);

impl Dialect for Paged {
    const MANNERS: Manners = Phoenix::MANNERS;

    fn new(client: u32, settings: Rc<Settings>) -> Self {
        Self(Phoenix::new(client, settings))
    }

    fn speaks_for(&mut self, session: Option<Box<str>>) {
        self.0.speaks_for(session);
    }

    fn begin(&mut self) {
        self.0.begin();
    }

    fn say(&mut self, ask: &Ask) -> Option<String> {
        self.0.say(ask).filter(|_| *ask != Ask::Ping)
    }

    fn text<S: Sink>(
        &mut self,
        came: Came,
        text: &str,
        machine: &mut Machine,
        world: &mut World<'_, S>,
    ) -> Action {
        self.0.text(came, text, machine, world)
    }

    fn binary<S: Sink>(
        &mut self,
        now: Micros,
        bytes: usize,
        machine: &Machine,
        world: &mut World<'_, S>,
    ) {
        self.0.binary(now, bytes, machine, world);
    }

    /// Two pages, of a second each.
    async fn snapshot(shelf: Shelf<'_>, _topic: TopicId) -> Taken {
        let mut pages = Vec::new();
        for _ in 0..2 {
            let start = shelf.clock.now();
            pass(1_000).await;
            pages.push(Page { start, done: shelf.clock.now(), answer: Answer::ok(200) });
        }
        let snapshot: Snapshot = snapshot_at(60, vec![]);
        Taken { pages, snapshot: Ok(Some(snapshot)) }
    }
}

/// The test's dialler, for a lane that speaks so.
struct Lane(Dialled);

impl Connector for Lane {
    type Session = Memory;
    type Dialect = Paged;

    const TAKEN: u16 = Dialled::TAKEN;

    async fn connect(
        &self,
        token: &str,
        cursors: &[(TopicId, Option<u64>)],
    ) -> Result<Memory, DialError> {
        self.0.connect(token, cursors).await
    }
}

#[tokio::test(start_paused = true)]
async fn each_page_of_a_snapshot_is_a_request_and_all_are_one_snapshot() {
    driven_over(Lane, async |client: Rc<Driven>| {
        pass(10).await;
        let mut peer = client.answer();
        bootstrapping(&mut peer).await;
        pass(2_500).await;
        let records = client.records();
        let page = |record: &&Record| {
            matches!(record, Record::Answered(answered) if answered.request == Request::Snapshot)
        };
        assert_eq!(records.iter().filter(page).count(), 2);
        let taken = |record: &Record| match record {
            Record::SnapshotTaken { start, done, head, .. } => Some((done - start, *head)),
            _ => None,
        };
        let taken: Vec<_> = records.iter().filter_map(taken).collect();
        let [(took, Some(60))] = taken[..] else { panic!("{taken:?}") };
        assert!((2_000_000..2_100_000).contains(&took), "{took}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_lane_does_not_say_is_not_sent() {
    driven_over(Lane, async |client: Rc<Driven>| {
        pass(10).await;
        let mut peer = client.answer();
        assert_eq!(heard(&mut peer).await.event, "phx_join");
        assert_eq!(heard(&mut peer).await.event, "sync:heartbeat");
        pass(500).await;
        assert!(peer.heard.try_recv().is_err(), "no ping follows");
        let sent = |record: &&Record| matches!(record, Record::Frame { sent: true, .. });
        assert_eq!(client.records().iter().filter(sent).count(), 2);
    })
    .await;
}
