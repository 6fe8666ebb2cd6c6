//! The driver over sessions in memory, under a paused clock: what it goes on doing while it waits.

mod moments;
mod paged;

use std::cell::RefCell;
use std::future::Future;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use khala_evidence::record::{Op, OpKind, Outcome, Record};
use khala_plan::Schedule;
use khala_plan::model::{ChosenCursor, Resume};
use khala_plan::surface::Surface;
use khala_wire::topic::WORKER_SUMMARIES;
use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::contents::Known;
use super::dialect::Dialect;
use super::driver::{Driver, Surroundings};
use super::machine::{Machine, Settings};
use super::machine_tests::rig::{Sent, reply, settings, stale, summaries};
use super::orders::{Comeback, Control, Expected, Order, Parting};
use super::reader::Reader;
use crate::clock::{self, Clock, micros};
use crate::contact::{Contact, Ear};
use crate::heads::{Heads, LocalHeads};
use crate::http::Http;
use crate::mint::Minter;
use crate::session::memory::{Dialled, Ended, Peer, pair};
use crate::session::{Connector, Goodbye, Inbound};
use crate::stall::Watch;
use crate::target::window::Windows;
use crate::testing::{frozen, plan};
use crate::throttle::Pace;

const CLIENT: u32 = 1;

pub(crate) const TEXT: &str = r#"
version = 1
name = "driver"
seed = 7
[target]
kind = "url"
url = "http://127.0.0.1:1"
request_timeout = "10s"
[auth]
mint = "hs256"
secret = { env = "KEY" }
[fleet]
clients = 4
ramp = "500ms"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[phase]]
name = "steady"
duration = "60s"
[[gate]]
name = "g"
[[gate.objective]]
metric = "violations"
require = "count == 0"
"#;

/// A client that is driven, and the target's side of it.
struct Driven {
    around: Rc<Surroundings<Vec<Record>>>,
    control: Rc<Control>,
    dialled: Dialled,
    /// HTTP is answered by nobody.
    _frozen: TcpListener,
}

impl Driven {
    fn now(&self) -> u64 {
        self.around.clock.now()
    }

    fn records(&self) -> Vec<Record> {
        self.around.sink.borrow().clone()
    }

    fn connects(&self) -> Vec<Outcome> {
        let connect = |record: &Record| match record {
            Record::Op(Op { kind: OpKind::Connect, outcome, .. }) => Some(*outcome),
            _ => None,
        };
        self.records().iter().filter_map(connect).collect()
    }

    fn has(&self, wanted: impl Fn(&Record) -> bool) -> bool {
        self.records().iter().any(wanted)
    }

    fn give(&self, orders: &[Order]) {
        orders.iter().for_each(|order| self.control.give(*order));
    }

    /// Answers the dial under way; the target's end of the session.
    fn answer(&self) -> Peer {
        let (session, peer) = pair();
        self.dialled.answer(Ok(session));
        peer
    }
}

/// Drives a client, that heartbeats every 2 s, while `test` goes on.
async fn driven<F: Future<Output = ()>>(test: impl FnOnce(Rc<Driven>) -> F) {
    driven_over(|dialled| dialled, test).await;
}

/// The same over a lane of the test's own, whose dials the test answers.
async fn driven_over<C: Connector, F: Future<Output = ()>>(
    lane: impl FnOnce(Dialled) -> C,
    test: impl FnOnce(Rc<Driven>) -> F,
) {
    let plan = Arc::new(plan(TEXT));
    let (listener, target) = frozen();
    let http = Http::new(&target.reach, "test", plan.target.request_timeout);
    let clock = Clock::starting_in(Duration::ZERO);
    let heads = Arc::new(Heads::new(0, 4));
    let around = Rc::new(Surroundings {
        clock,
        watch: Watch::new(0, clock),
        plan: Arc::clone(&plan),
        target,
        sink: RefCell::new(Vec::new()),
        reader: RefCell::new(Reader::new(Known { run_id: "run".to_owned(), ..Known::default() })),
        heads: LocalHeads::new(Arc::clone(&heads)),
        ear: Ear::new(Arc::new(Contact::new(clock, 1))),
        minter: Minter::new(http.clone()),
        windows: Windows::new(http.clone()),
        turnstile: None,
        http,
    });
    let of_desktop = settings(Surface::Desktop);
    let cohort =
        Settings { topics: vec![summaries()], heartbeat: Duration::from_secs(2), ..of_desktop };
    let control = Rc::new(Control::new("s".to_owned(), heads));
    let dialled = Dialled::default();
    let cohort = Rc::new(cohort);
    let driver: Driver<_, C> = Driver {
        around: Rc::clone(&around),
        dialect: Dialect::new(CLIENT, Rc::clone(&cohort)),
        machine: Machine::new(CLIENT, cohort, 0),
        client: CLIENT,
        identity: Schedule::identity(&plan, CLIENT),
        scopes: Vec::new(),
        lane: Rc::new(lane(dialled.clone())),
        control: Rc::clone(&control),
        resume: None,
        bearer: None,
        slow: None,
        cut_by: None,
        has_turn: false,
    };
    let sides = Rc::new(Driven { around: Rc::clone(&around), control, dialled, _frozen: listener });
    LocalSet::new()
        .run_until(async move {
            tokio::task::spawn_local(driver.run());
            let ticking = around
                .watch
                .tick(|act: &mut dyn FnMut(&mut Vec<Record>)| act(&mut around.sink.borrow_mut()));
            tokio::select! { () = test(sides) => {}, () = ticking => {} }
        })
        .await;
}

async fn pass(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

/// What the client sends next.
async fn heard(peer: &mut Peer) -> Sent {
    let text = tokio::time::timeout(Duration::from_secs(30), peer.heard.recv()).await;
    let text = text.expect("it says something in time").expect("it is there");
    let frame: (Option<String>, String, String, String, Value) =
        serde_json::from_str(&text).expect("a V2 frame");
    let (join_ref, msg_ref, channel, event, payload) = frame;
    Sent { channel, join_ref: join_ref.unwrap_or_default(), msg_ref, event, payload }
}

async fn say(peer: &Peer, text: &str) {
    let inbound = Inbound::Text { text: text.to_owned().into(), read_at: clock::system_now() };
    peer.say.send(inbound).await.expect("it listens");
}

/// Answers the join and refuses the subscribe as stale: the client takes a snapshot, over HTTP.
async fn bootstrapping(peer: &mut Peer) {
    let join = heard(peer).await;
    assert_eq!(join.event, "phx_join");
    say(
        peer,
        &reply(
            &join,
            "ok",
            &json!({"allowed_topics": [WORKER_SUMMARIES],
        "current_watermarks": [], "subscription_id": "sub_sync_session:s"}),
        ),
    )
    .await;
    let subscribe = heard(peer).await;
    assert_eq!(subscribe.event, "sync:subscribe");
    say(peer, &stale(&subscribe, &[WORKER_SUMMARIES])).await;
}

fn cut(parting: Parting) -> Order {
    Order::Cut { fault: 0, intended: 0, parting, comeback: Comeback::AsEver }
}

#[tokio::test(start_paused = true)]
async fn orders_that_keep_nobody_away_leave_a_dial_alone() {
    driven(async |client: Rc<Driven>| {
        pass(500).await;
        assert_eq!(client.dialled.begun(), 1);
        let comeback = Comeback::With(ChosenCursor::StaleBy(5));
        client.give(&[
            Order::Expect { fault: 0, intended: 100_000_000, end: Expected::Process },
            Order::Read { fault: 0, pace: Pace::Full },
            cut(Parting::Reset),
            Order::Cut { fault: 0, intended: 0, parting: Parting::Reset, comeback },
            Order::Sever { fault: 0, intended: 0 },
            Order::Unsubscribe { fault: 0, topics: [summaries()].into_iter().collect(), until: 9 },
            Order::Revoked { at: Some(5) },
            Order::Read { fault: 0, pace: Pace::Rate(1_000) },
        ]);
        pass(2_000).await;
        assert_eq!((client.dialled.begun(), client.connects()), (1, vec![]));
        // What can be carried out without a socket has been.
        assert!(client.has(|record| matches!(record, Record::SlowBegan { .. })));
        assert!(client.has(|record| matches!(record, Record::Revoked { connected: false, .. })));
        let mut peer = client.answer();
        assert_eq!(heard(&mut peer).await.event, "phx_join");
        assert_eq!(client.connects(), [Outcome::Ok]);
        assert_eq!(client.dialled.begun(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_a_restart_ends_is_the_faults_also_if_it_was_told_while_it_dialled() {
    driven(async |client: Rc<Driven>| {
        pass(500).await;
        let intended = client.now() + 1_000_000;
        client.give(&[Order::Expect { fault: 3, intended, end: Expected::Process }]);
        pass(100).await;
        let mut peer = client.answer();
        heard(&mut peer).await;
        pass(1_000).await;
        drop(peer);
        pass(100).await;
        let by_fault = |record: &Record| {
            let Record::Offline { cause, .. } = record else { return false };
            *cause == khala_evidence::record::OfflineCause::Fault { id: 3, intended }
        };
        assert!(client.has(by_fault), "{:?}", client.records());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn staying_away_and_a_revocation_end_a_dial_until_their_time() {
    let until = 5_000_000;
    let comeback = Comeback::At { until, resume: Resume::Kept };
    for order in [
        Order::Cut { fault: 1, intended: 0, parting: Parting::Reset, comeback },
        Order::Expect { fault: 1, intended: 0, end: Expected::Session { until } },
    ] {
        driven(async |client: Rc<Driven>| {
            pass(500).await;
            client.give(&[order]);
            pass(4_400).await;
            assert_eq!(client.dialled.begun(), 1, "{order:?}");
            assert_eq!(client.connects(), [Outcome::Interrupted], "it says nothing of the target");
            pass(200).await;
            assert_eq!(client.dialled.begun(), 2, "{order:?}");
            assert!(micros(Duration::from_secs(5)) <= client.now());
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_does_not_wait_for_a_dial() {
    driven(async |client: Rc<Driven>| {
        pass(500).await;
        client.give(&[Order::Retire]);
        pass(10).await;
        assert!(client.control.view.borrow().retired);
        assert!(client.has(|record| matches!(record, Record::Retired { connected: false, .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_a_snapshot_heartbeats_and_hears_what_comes() {
    driven(async |client: Rc<Driven>| {
        pass(10).await;
        let mut peer = client.answer();
        bootstrapping(&mut peer).await;
        // The snapshot is answered by nobody, and given up after 10 s.
        for _ in 0..3 {
            let beat = heard(&mut peer).await;
            assert_eq!((&*beat.channel, &*beat.event), ("sync:v1", "sync:heartbeat"));
            let socket = heard(&mut peer).await;
            assert_eq!((&*socket.channel, &*socket.event), ("phoenix", "heartbeat"));
            let marks = json!({"subscription_id": "s", "watermarks": []});
            say(&peer, &reply(&beat, "ok", &marks)).await;
            say(&peer, &reply(&socket, "ok", &json!({}))).await;
        }
        pass(10).await;
        let taken = |record: &Record| matches!(record, Record::SnapshotTaken { .. });
        assert!(!client.has(taken), "it still takes the snapshot");
        let answered = |record: &&Record| {
            matches!(record, Record::Op(op) if op.kind == OpKind::Heartbeat && op.outcome == Outcome::Ok)
        };
        assert_eq!(client.records().iter().filter(answered).count(), 3);
        assert!(!client.has(|record| matches!(record, Record::Offline { .. })));
        loop {
            let next = heard(&mut peer).await;
            if next.event == "sync:subscribe" {
                break;
            }
            say(&peer, &reply(&next, "ok", &json!({"subscription_id": "s", "watermarks": []}))).await;
        }
        let timed_out = |record: &Record| {
            matches!(record, Record::SnapshotTaken { outcome: Outcome::Timeout, .. })
        };
        assert!(client.has(timed_out), "given up after its time-out, and then subscribed again");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn orders_end_a_snapshot() {
    for (order, ended) in [
        (cut(Parting::Reset), Ended::Reset),
        (cut(Parting::Goodbye(Goodbye::Code(1001))), Ended::Closed(Goodbye::Code(1001))),
        (Order::Retire, Ended::Closed(Goodbye::InOrder)),
    ] {
        driven(async |client: Rc<Driven>| {
            pass(10).await;
            let mut peer = client.answer();
            bootstrapping(&mut peer).await;
            pass(1_000).await;
            client.give(&[order]);
            pass(10).await;
            assert_eq!(peer.ended.get(), Some(ended), "{order:?}");
            pass(15_000).await;
            assert!(!client.has(|record| matches!(record, Record::SnapshotTaken { .. })));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn however_much_comes_heartbeats_are_sent() {
    driven(async |client: Rc<Driven>| {
        pass(10).await;
        let (mut session, mut peer) = pair();
        let text = json!([null, null, "sync:v1", "sync:heartbeat", {"watermarks": []}]);
        // Something is there to be read each time that the client looks, for four seconds.
        session.flood(text.to_string(), 4_000);
        client.dialled.answer(Ok(session));
        assert_eq!(heard(&mut peer).await.event, "phx_join");
        assert_eq!(heard(&mut peer).await.event, "sync:heartbeat", "one is due every 2 s");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_came_while_the_thread_stood_still_is_no_time_out() {
    driven(async |client: Rc<Driven>| {
        pass(10).await;
        let mut peer = client.answer();
        let join = heard(&mut peer).await;
        let joined =
            json!({"allowed_topics": [], "current_watermarks": [], "subscription_id": "s"});
        // The answer is there after a second; then nobody looks for half a minute.
        tokio::time::advance(Duration::from_secs(1)).await;
        let push = json!([null, null, "sync:v1", "sync:heartbeat", {"watermarks": []}]);
        say(&peer, &push.to_string()).await;
        say(&peer, &reply(&join, "ok", &joined)).await;
        tokio::time::advance(Duration::from_secs(30)).await;
        pass(10).await;
        let outcome = |record: &Record| match record {
            Record::Op(op) if op.kind == OpKind::Join => Some(op.outcome),
            _ => None,
        };
        let joins: Vec<_> = client.records().iter().filter_map(outcome).collect();
        assert_eq!(joins, [Outcome::Ok]);
        assert!(!client.has(|record| matches!(record, Record::Offline { .. })));
        assert!(client.has(|record| matches!(record, Record::Stall { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_shows_when_the_target_has_taken_the_client_back_and_not_before() {
    driven(|sides| async move {
        let answered = || sides.around.heads.shared().answered(0);
        let _peer = sides.answer();
        pass(10).await;
        sides.give(&[cut(Parting::Reset)]);
        pass(20_000).await;
        assert_eq!(answered(), 0, "the client wants to come back, and nobody has answered");
        let _peer = sides.answer();
        pass(10).await;
        assert_eq!(answered(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_absence_with_a_chosen_cursor_shows_nothing_where_there_was_no_such_cursor() {
    driven(|sides| async move {
        let away = |fault, resume| {
            let until = sides.now() + 1_000_000;
            let (parting, comeback) = (Parting::Reset, Comeback::At { until, resume });
            sides.give(&[Order::Cut { fault, intended: sides.now(), parting, comeback }]);
        };
        let answered = |fault| sides.around.heads.shared().answered(fault);
        let _peer = sides.answer();
        pass(10).await;
        away(1, Resume::BelowFloor);
        // It waits for the metrics, and then for an answer to the lowest cursor.
        pass(30_000).await;
        let _peer = sides.answer();
        pass(10).await;
        assert!(sides.control.view.borrow().online);
        assert_eq!(answered(1), 0, "it came back with what it had");
        away(2, Resume::Kept);
        pass(5_000).await;
        let _peer = sides.answer();
        pass(10).await;
        assert_eq!(answered(2), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn slowness_shows_by_what_the_target_sent_and_the_client_left_unread() {
    driven(|sides| async move {
        let answered = |fault| sides.around.heads.shared().answered(fault);
        let slow = |fault| sides.give(&[Order::Read { fault, pace: Pace::Paused }]);
        let fast = |fault| sides.give(&[Order::Read { fault, pace: Pace::Full }]);
        let mut peer = sides.answer();
        pass(10).await;
        slow(1);
        pass(500).await;
        fast(1);
        pass(10).await;
        assert_eq!(answered(1), 0, "nothing was sent that it could have left");
        bootstrapping(&mut peer).await;
        slow(2);
        pass(10).await;
        say(&peer, "[null,null,\"sync:v1\",\"sync:heartbeat\",{\"watermarks\":[]}]").await;
        fast(2);
        pass(10).await;
        assert_eq!(answered(2), 1);
    })
    .await;
}
