//! Restarts that are under way when the time line goes on.

use std::sync::atomic::{AtomicU32, Ordering};

use khala_evidence::facts::RunFacts;
use khala_plan::model::RestartSignal;

use super::*;
use crate::error::SetupError;
use crate::target::child::{Process, Taking};

/// The process is restarted half a second before a phase ends, and clients are cut in the next.
const TEXT: &str = r#"
version = 1
name = "restarting"
seed = 7
[target]
kind = "reference"
request_timeout = "10s"
[auth]
mint = "hs256"
[fleet]
clients = 4
ramp = "500ms"
[[fleet.surface]]
name = "desktop"
share = 1.0
[[phase]]
name = "steady"
duration = "4s"
[[phase.fault]]
type = "restart"
at = "3500ms"
attributes = { signal = "term" }
[[phase]]
name = "storm"
duration = "6s"
[[phase.fault]]
type = "disconnect"
at = "1s"
mode = "all"
[[gate]]
name = "g"
[[gate.objective]]
metric = "violations"
require = "count == 0"
[oracle]
drain_within = "2s"
"#;

/// When the restart is due, when the next phase begins, and when the phases are over.
const RESTART: Micros = 4_000_000;
const STORM: Micros = 4_500_000;
const OVER: Micros = 10_500_000;

/// A process that takes its time to come back, or does not.
#[derive(Debug)]
struct Slow {
    takes: Duration,
    comes_back: bool,
    gone: Option<String>,
    restarts: Arc<AtomicU32>,
    stopped: Arc<AtomicU32>,
}

impl Own for Slow {
    fn restart(&mut self, signal: RestartSignal) -> Taking<'_, Result<(), SetupError>> {
        assert_eq!(signal, RestartSignal::Term);
        Box::pin(async move {
            tokio::time::sleep(self.takes).await;
            self.restarts.fetch_add(1, Ordering::SeqCst);
            if self.comes_back {
                return Ok(());
            }
            let why = "it did not come back".to_owned();
            self.gone = Some(why.clone());
            Err(SetupError::Reference(why))
        })
    }

    fn process(&self) -> Option<Process> {
        None
    }

    fn ended(&mut self) -> Option<String> {
        self.gone.clone()
    }

    fn stop(self: Box<Self>) -> Taking<'static, ()> {
        Box::pin(async move {
            self.stopped.fetch_add(1, Ordering::SeqCst);
        })
    }
}

/// What a run came to.
struct Ran {
    seen: Seen,
    facts: RunFacts,
    drained: bool,
    /// How often the process was restarted, and ended for good.
    restarts: u32,
    stopped: u32,
}

impl Ran {
    fn acted(&self) -> Option<(Micros, bool)> {
        self.seen.0.iter().find_map(|event| match &event.kind {
            EventKind::FaultActed { id: 0, failed } => Some((event.at_us, failed.is_none())),
            _ => None,
        })
    }

    fn at(&self, wanted: impl Fn(&EventKind) -> bool) -> Option<Micros> {
        self.seen.0.iter().find(|event| wanted(&event.kind)).map(|event| event.at_us)
    }
}

async fn run(takes: Duration, comes_back: bool) -> Ran {
    let (stand, mut seen) = (Stand::of(TEXT), Seen::default());
    let (restarts, stopped) = (Arc::default(), Arc::default());
    let process = Slow {
        takes,
        comes_back,
        gone: None,
        restarts: Arc::clone(&restarts),
        stopped: Arc::clone(&stopped),
    };
    let mut conductor = stand.conductor_of(Some(Box::new(process)), &mut seen);
    conductor.phases().await;
    let (stage, _) = tokio::sync::watch::channel(Stage::Running);
    let (drained, _) = conductor.drain(ended(((), Vec::new())), &stage).await;
    let end = End { at: stand.clock.now(), drained };
    let (facts, _) = conductor.finish("id".to_owned(), String::new(), String::new, end).await;
    let [restarts, stopped]: [Arc<AtomicU32>; 2] = [restarts, stopped];
    let (restarts, stopped) = (restarts.load(Ordering::SeqCst), stopped.load(Ordering::SeqCst));
    Ran { seen, facts, drained, restarts, stopped }
}

fn about(at: Option<Micros>, due: Micros) -> bool {
    at.is_some_and(|at| at >= due && at - due <= micros(Duration::from_millis(5)))
}

#[tokio::test(start_paused = true)]
async fn a_phase_begins_when_it_is_due_while_the_target_is_being_restarted() {
    for takes in [Duration::from_secs(3), Duration::from_secs(8)] {
        let ran = run(takes, true).await;
        let times = ran.seen.times();
        assert_eq!(times.len(), 5, "the ramp, two phases, two faults: {times:?}");
        for (what, at, due) in times {
            assert!(about(Some(at), due), "{what} at {at} instead of {due} ({takes:?})");
        }
        let storm = |kind: &EventKind| matches!(kind, EventKind::PhaseBegan { phase, .. } if phase == "storm");
        assert!(about(ran.at(storm), STORM), "in the middle of it");
        // It is told when it ended, and what is held by a fault is not taken for lost.
        let (acted, well) = ran.acted().expect("the restart ended");
        assert!(well && about(Some(acted), RESTART + micros(takes)), "{acted} {takes:?}");
        assert_eq!((ran.restarts, ran.stopped, &ran.facts.target.lost), (1, 1, &None));
        assert!(about(ran.at(|kind| *kind == EventKind::DrainBegan), OVER));
        let dry = ran.at(|kind| matches!(kind, EventKind::DrainEnded { .. })).expect("it drains");
        assert!(dry > acted && ran.drained, "the drain waits for it: {dry} {acted}");
        let [restart, _] = &ran.facts.faults[..] else { panic!("{:?}", ran.facts.faults) };
        assert_eq!(restart.effective, Some(1), "{}", restart.proof);
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_come_back_is_lost_in_the_phase_in_which_that_shows() {
    let takes = Duration::from_secs(3);
    let ran = run(takes, false).await;
    let (acted, well) = ran.acted().expect("the restart ended");
    assert!(!well && about(Some(acted), RESTART + micros(takes)), "{acted}");
    let lost = ran.at(|kind| matches!(kind, EventKind::TargetLost { .. })).expect("it is told");
    // At the next look.
    assert!((acted..=acted + 110_000).contains(&lost), "{acted} {lost}");
    assert_eq!(ran.facts.target.lost.as_deref(), Some("it did not come back"));
    assert!(ran.at(|kind| *kind == EventKind::DrainBegan).is_some_and(|at| at < OVER));
    assert!(!ran.drained);
}
