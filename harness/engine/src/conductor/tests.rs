//! The time line under a paused clock, with a target that takes connections and answers nothing.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use khala_evidence::oracle::End;
use khala_evidence::record::{Micros, Record};
use khala_plan::Schedule;
use khala_wire::metrics::FanoutMetrics;
use tokio_util::sync::CancellationToken;

use super::{Conductor, Setup};
use crate::clock::{Clock, micros};
use crate::heads::Heads;
use crate::http::Http;
use crate::observe::{Event, EventKind, Observer, Progress};
use crate::probe::Probe;
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

#[tokio::test(start_paused = true)]
async fn a_target_that_answers_nothing_holds_up_no_phase_and_no_fault() {
    let plan = plan(TEXT);
    let schedule = Schedule::of(&plan);
    let (_listener, target) = frozen();
    let http = Http::new(&target.base_url, "test", plan.target.request_timeout);
    let clock = Clock::starting_in(Duration::from_millis(300));
    let (heads, mut seen) = (Heads::new(0, schedule.faults.len()), Seen::default());
    let mut conductor = Conductor::new(Setup {
        plan: &plan,
        schedule: &schedule,
        target,
        http,
        clock,
        reference: None,
        heads: &heads,
        numbers: Vec::new(),
        begun: Arc::new(AtomicU64::new(0)),
        interrupt: CancellationToken::new(),
        observer: &mut seen,
        probe: Probe::new(clock, Arc::new(Backlog::default())),
        build: Ok(None),
        descriptors_limit: 1_000,
        sink: Vec::<Record>::new(),
    });
    conductor.phases().await;
    let (stage, _) = tokio::sync::watch::channel(Stage::Running);
    let publisher = std::thread::spawn(|| ((), Vec::new()));
    let (drained, _) = conductor.drain(publisher, &["w".to_owned()], &stage).await;
    assert!(drained, "nothing was there to drain");
    let end = End { at: clock.now(), drained };
    let (facts, sink) = conductor.finish("id".to_owned(), String::new(), String::new, end).await;

    let late: Vec<_> = seen
        .times()
        .into_iter()
        .filter(|(_, at, due)| at.saturating_sub(*due) > micros(Duration::from_millis(2)))
        .collect();
    assert_eq!(late, [], "all begins when it is due");
    assert_eq!(seen.times().len(), 5, "the ramp, two phases, two faults");
    let drain_began = seen.at(&EventKind::DrainBegan).expect("it drains");
    let planned = schedule.phases.last().expect("the drain").start_us;
    assert!(drain_began - planned < micros(Duration::from_millis(2)), "{drain_began} {planned}");

    let [cut, trim] = &facts.faults[..] else { panic!("{:?}", facts.faults) };
    assert!(cut.applied && trim.applied);
    assert_eq!((cut.effective, trim.effective), (None, None));
    let why = "could not be read just before it: they had not come when it was due";
    assert!(cut.proof.contains(why), "{}", cut.proof);
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
