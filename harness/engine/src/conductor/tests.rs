//! The time line under a paused clock, with a target that takes connections and answers nothing.

mod restarts;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::oracle::End;
use khala_evidence::record::{Micros, Record};
use khala_plan::{Plan, Schedule};
use khala_wire::metrics::FanoutMetrics;
use tokio_util::sync::CancellationToken;

use super::{Conductor, Setup};
use crate::clock::{Clock, micros};
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
use crate::target::Target;
use crate::target::child::Own;
use crate::testing::{frozen, plan};
use crate::transport::Backlog;
use crate::worker::Stage;

const TEXT: &str = r#"
version = 1
name = "frozen"
seed = 7
[target]
kind = "url"
url = "http://127.0.0.1:1"
exclusive = true
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
duration = "4s"
[[phase]]
name = "storm"
duration = "6s"
[[phase.fault]]
type = "disconnect"
at = "1s"
mode = "all"
[[phase.fault]]
type = "retention_trim"
at = "2s"
attributes = { topic = "runtime.codex_worker_events", keep = 10 }
[[gate]]
name = "g"
[[gate.objective]]
metric = "violations"
require = "count == 0"
[oracle]
drain_within = "2s"
"#;

#[derive(Default)]
struct Seen(Vec<Event>);

impl Observer for Seen {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }

    fn progress(&mut self, _progress: &Progress) {}

    fn metrics(&mut self, label: &str, _metrics: &FanoutMetrics) {
        panic!("nobody answered, and there is `{label}`");
    }
}

impl Seen {
    /// When something was said, and when it had been due.
    fn times(&self) -> Vec<(String, Micros, Micros)> {
        let time = |event: &Event| match &event.kind {
            EventKind::PhaseBegan { phase, due_us } => Some((phase.clone(), event.at_us, *due_us)),
            EventKind::FaultDue { kind, due_us, .. } => Some((kind.clone(), event.at_us, *due_us)),
            _ => None,
        };
        self.0.iter().filter_map(time).collect()
    }

    fn at(&self, wanted: &EventKind) -> Option<Micros> {
        self.0.iter().find(|event| event.kind == *wanted).map(|event| event.at_us)
    }
}

/// A thread that has ended, whatever the clock says.
fn ended<T: Send + 'static>(value: T) -> JoinHandle<T> {
    let thread = std::thread::spawn(move || value);
    while !thread.is_finished() {
        std::thread::yield_now();
    }
    thread
}

/// A thread that does not end before its sender is dropped.
fn endless<T: Send + 'static>() -> (SyncSender<T>, JoinHandle<T>) {
    let (sender, receiver) = sync_channel(1);
    (sender, std::thread::spawn(move || receiver.recv().expect("it is never told")))
}

/// The conductor of a run against a frozen target, before its first phase.
struct Stand {
    plan: Plan,
    schedule: Schedule,
    clock: Clock,
    heads: Heads,
    target: Arc<Target>,
    _listener: TcpListener,
}

impl Stand {
    fn new() -> Self {
        Self::of(TEXT)
    }

    fn of(text: &str) -> Self {
        let plan = plan(text);
        let schedule = Schedule::of(&plan);
        let (listener, target) = frozen();
        let clock = Clock::starting_in(Duration::from_millis(300));
        let heads = Heads::new(0, schedule.faults.len());
        Self { plan, schedule, clock, heads, target, _listener: listener }
    }

    fn conductor<'a>(&'a self, seen: &'a mut Seen) -> Conductor<'a, Vec<Record>> {
        self.conductor_of(None, seen)
    }

    fn conductor_of<'a>(
        &'a self,
        process: Option<Box<dyn Own>>,
        seen: &'a mut Seen,
    ) -> Conductor<'a, Vec<Record>> {
        Conductor::new(Setup {
            switches: Arc::default(),
            plan: &self.plan,
            schedule: &self.schedule,
            target: Arc::clone(&self.target),
            http: Http::new(&self.target.reach, "test", self.plan.target.request_timeout),
            clock: self.clock,
            process,
            hooks: None,
            heads: &self.heads,
            numbers: Vec::new(),
            begun: Arc::new(AtomicU64::new(0)),
            interrupt: CancellationToken::new(),
            observer: seen,
            probe: Probe::new(self.clock, Arc::new(Backlog::default())),
            build: Ok(None),
            descriptors_limit: 1_000,
            sink: Vec::new(),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_answers_nothing_holds_up_no_phase_and_no_fault() {
    let (stand, mut seen) = (Stand::new(), Seen::default());
    let mut conductor = stand.conductor(&mut seen);
    conductor.phases().await;
    let (stage, _) = tokio::sync::watch::channel(Stage::Running);
    let publisher = ended(((), Vec::new()));
    let (drained, _) = conductor.drain(publisher, &stage).await;
    assert!(drained, "nothing was there to drain");
    let end = End { at: stand.clock.now(), drained };
    let (facts, sink) = conductor.finish("id".to_owned(), String::new(), String::new, end).await;

    let late: Vec<_> = seen
        .times()
        .into_iter()
        .filter(|(_, at, due)| at.saturating_sub(*due) > micros(Duration::from_millis(2)))
        .collect();
    assert_eq!(late, [], "all begins when it is due");
    assert_eq!(seen.times().len(), 5, "the ramp, two phases, two faults");
    let drain_began = seen.at(&EventKind::DrainBegan).expect("it drains");
    let planned = stand.schedule.phases.last().expect("the drain").start_us;
    assert!(drain_began - planned < micros(Duration::from_millis(2)), "{drain_began} {planned}");

    let [cut, trim] = &facts.faults[..] else { panic!("{:?}", facts.faults) };
    assert!(cut.applied && trim.applied);
    assert_eq!((cut.effective, trim.effective), (Some(0), Some(0)));
    let why = "new upgrades by clients whose sockets had been cut (the target's metrics could not be \
               read just before it: they had not come when it was due)";
    assert_eq!(cut.proof, why);
    assert!(trim.proof.contains("the target refused it"), "{}", trim.proof);

    let unread: Vec<_> =
        facts.findings.iter().filter(|found| found.name == "metrics_unreadable").collect();
    let [unread] = unread[..] else { panic!("told once: {:?}", facts.findings) };
    assert!(unread.count >= 2, "{unread:?}");
    assert!(unread.message.contains("first those asked for at 0.0 s"), "{unread:?}");
    assert!(unread.message.contains("no answer within 10s"), "{unread:?}");
    assert!(!facts.findings.iter().any(|found| found.name == "began_late"));
    let stalls = sink.iter().filter(|record| matches!(record, Record::Stall { .. })).count();
    assert_eq!(stalls, 0, "waiting is not standing still");
}

#[tokio::test(start_paused = true)]
async fn what_begins_late_says_when_it_was_due_and_is_a_finding() {
    let (stand, mut seen) = (Stand::new(), Seen::default());
    let mut conductor = stand.conductor(&mut seen);
    let stalling = async {
        // Nobody looks from a second before the storm to a second and a half after it began.
        tokio::time::sleep_until(stand.clock.instant(3_500_000)).await;
        tokio::time::advance(Duration::from_millis(2_500)).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = conductor.phases() => {}
        () = stalling => {}
    }
    let end = End { at: stand.clock.now(), drained: false };
    let (facts, sink) = conductor.finish("id".to_owned(), String::new(), String::new, end).await;
    let storm = seen.times().into_iter().find(|(what, ..)| what == "storm").expect("it began");
    assert_eq!(storm.2, 4_500_000);
    assert!(storm.1 >= 6_000_000, "{storm:?}");
    let late = facts.findings.iter().find(|found| found.name == "began_late").expect("it is told");
    assert!(late.message.contains("phase `storm`, which began 1.5"), "{late:?}");
    assert_eq!(late.count, 2, "the phase, and the fault after one second of it");
    let thread = stand.plan.generator.conductor_thread();
    let stall =
        |record: &Record| matches!(record, Record::Stall { thread: of, .. } if *of == thread);
    assert!(sink.iter().any(stall), "the conductor's own");
}

#[tokio::test(start_paused = true)]
async fn threads_that_do_not_end_are_given_up() {
    let (stand, mut seen) = (Stand::new(), Seen::default());
    let mut conductor = stand.conductor(&mut seen);
    let (_kept, endless_worker) = endless();
    let left = conductor.join_all(vec![ended(7), endless_worker], Duration::from_secs(20)).await;
    assert_eq!(left, [7]);

    let (stage, seen_stage) = tokio::sync::watch::channel(Stage::Running);
    let (_kept, publisher) = endless::<((), Vec<u32>)>();
    let (drained, sink) = conductor.drain(publisher, &stage).await;
    assert!(!drained && sink.is_none(), "it is lost");
    assert_eq!(*seen_stage.borrow(), Stage::Retire, "it was told");
    assert!(stand.clock.now() < micros(Duration::from_secs(90)), "{}", stand.clock.now());
}
