//! Faults: what is done, how it is taken back, and how it is proven from the other side.
//!
//! One file a type, which implements [`Fault`] for the plan's definition, and one line in `REGISTRY`. A fault
//! acts on the clients of a thread through their [`Control`]s, or on the target as a whole. Its proofs are
//! counted where the injector has no hand: in the target's own metrics, else in its answers and on the
//! clients' sockets. They show that the fault reached the target, never that the target reacted rightly:
//! that is for the oracle. See `ADDING_A_FAULT.md`.

mod command_over_socket;
mod cursor;
mod disconnect;
mod handshake_flood;
mod hook;
mod offline;
mod pause;
mod publish_burst;
mod restart;
mod retention_trim;
mod revoke_sessions;
mod slow_reader;
mod token;
mod unsubscribe;

pub use self::hook::Hooks;
pub(crate) use self::retention_trim::{TRIM_PATH, keeps_all};

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use khala_plan::fault::{self as plan, Definition, FaultKind};
use khala_plan::model::Cohort;
use khala_plan::schedule::PlannedFault;
use khala_wire::metrics::FanoutMetrics;
use tokio_util::sync::CancellationToken;

use crate::aside::Aside;
use crate::client::orders::Control;
use crate::clock::Clock;
use crate::conductor::{Child, Told};
use crate::http::Http;
use crate::target::Target;

/// Takes a fault on clients back where it goes out of scope, however it does: its time is over, its task is
/// aborted, or panics.
#[must_use = "the fault is taken back where this is dropped"]
#[derive(Default)]
pub struct Undo(Option<Box<dyn FnOnce()>>);

impl Undo {
    /// Of an instant: there is nothing to take back.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Does this, which must not wait for anything.
    pub fn with(undo: impl FnOnce() + 'static) -> Self {
        Self(Some(Box::new(undo)))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some(undo) = self.0.take() {
            undo();
        }
    }
}

/// Where a fault shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShownBy {
    /// The target's fan-out metrics.
    Metrics,
    /// What the target answers, and what the clients' sockets show.
    Answers,
}

/// With which faults of the same instant a fault shares what the target counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Those of its own type.
    ByType,
    /// All that end sockets.
    Disconnects,
}

/// What one side says of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Clients hit (or 1, of a fault that acts on the target).
    pub effective: u64,
    /// How that was counted.
    pub how: String,
}

impl Proof {
    /// So many, counted like this.
    #[must_use]
    pub fn of(effective: u64, how: &str) -> Self {
        Self { effective, how: how.to_owned() }
    }
}

/// The target's metrics before a fault and now.
pub struct Sides<'a> {
    /// Before.
    pub before: &'a FanoutMetrics,
    /// Now.
    pub after: &'a FanoutMetrics,
    /// Clients that this fault and others of its type hit at the same instant: what the target
    /// counts is shared between them.
    pub planned_together: u64,
}

impl Sides<'_> {
    /// This fault's part of what the target counted for all that came at the same instant.
    #[must_use]
    pub fn part(&self, counted: u64, planned: u64) -> u64 {
        if counted >= self.planned_together {
            return planned;
        }
        // At most `planned`, because `counted` is less than all together.
        counted * planned / self.planned_together.max(1)
    }
}

/// What a fault on the target acts with.
pub struct Grip {
    /// The target.
    pub target: Arc<Target>,
    /// Requests of the run itself.
    pub http: Http,
    /// Its process, where it is the harness's own: one fault at a time has hold of it.
    pub child: Child,
    /// The run's clock.
    pub clock: Clock,
    /// Takes what its requests came to, and what happened.
    pub told: Told,
    /// What commands of the user's run with; `None` where none may run.
    pub hooks: Option<Arc<Hooks>>,
    /// The run is cut short, or over: what lasts is taken back now.
    pub ending: CancellationToken,
}

impl Grip {
    /// Waits until an interval is over, or the run is.
    pub async fn until_over(&self, fault: &PlannedFault) {
        let Some(duration_us) = fault.duration_us else { return };
        tokio::select! {
            () = tokio::time::sleep_until(self.clock.instant(fault.at_us + duration_us)) => {}
            () = self.ending.cancelled() => {}
        }
    }
}

/// The future of a fault on the target, a task of its own; must end by itself. Says how often the target
/// answered to it, or in a sentence what went wrong.
pub type OnTarget = Pin<Box<dyn Future<Output = Result<u64, String>> + Send>>;

/// A type of fault, as it is carried out.
pub trait Fault {
    /// Acts on these clients, all of one thread.
    fn on_clients(&self, _fault: &PlannedFault, _targets: &[Rc<Control>]) -> Undo {
        Undo::nothing()
    }

    /// How long before it is due the clients are told.
    fn lead(&self) -> Duration {
        Duration::ZERO
    }

    /// What is tried for its clients on sockets beside their own.
    fn aside(&self, _fault: &PlannedFault) -> Option<Aside> {
        None
    }

    /// Acts on the target.
    fn on_target(&self, _fault: &PlannedFault, _grip: Grip) -> OnTarget {
        Box::pin(std::future::ready(Ok(0)))
    }

    /// What it shows as in the target's metrics: faults of one instant that show alike share what the target
    /// counts.
    fn counted_as(&self) -> Counted {
        Counted::ByType
    }

    /// Where it shows, best first.
    fn shown_by(&self) -> &'static [ShownBy] {
        &[ShownBy::Answers]
    }

    /// Counts in the target's metrics; `None` where they cannot tell. Asked again and again for as long as
    /// [`Fault::metrics_within`] says, and the most counts.
    fn by_metrics(&self, _fault: &PlannedFault, _sides: &Sides<'_>) -> Option<Proof> {
        None
    }

    /// How long the metrics may take to show it, from when it is due, where it hits clients of these cohorts; of
    /// an interval, it lasts as long as the interval.
    fn metrics_within(&self, _cohorts: &[&Cohort]) -> Duration {
        Duration::from_secs(5)
    }

    /// Counts by what was entered for it with [`Heads::count_answered`](crate::heads::Heads::count_answered),
    /// which may take until the run ends.
    fn by_answers(&self, fault: &PlannedFault, answered: u64) -> Proof;
}

/// The fault, if it is of the type.
type Applied = fn(&FaultKind) -> Option<&dyn Fault>;

/// One line a type.
const REGISTRY: &[Applied] = &[
    applied::<plan::disconnect::Disconnect>,
    applied::<plan::offline::Offline>,
    applied::<plan::slow_reader::SlowReader>,
    applied::<plan::unsubscribe::Unsubscribe>,
    applied::<plan::cursor::Cursor>,
    applied::<plan::token::Token>,
    applied::<plan::revoke_sessions::RevokeSessions>,
    applied::<plan::command_over_socket::CommandOverSocket>,
    applied::<plan::restart::Restart>,
    applied::<plan::retention_trim::RetentionTrim>,
    applied::<plan::publish_burst::PublishBurst>,
    applied::<plan::hook::Hook>,
    applied::<plan::handshake_flood::HandshakeFlood>,
    applied::<plan::pause::Pause>,
];

fn applied<T: Definition + Fault>(kind: &FaultKind) -> Option<&dyn Fault> {
    kind.attributes::<T>().map(|fault| fault as &dyn Fault)
}

/// A type that the registry forgot: it is planned, and says that it was not applied.
struct Unknown;

impl Fault for Unknown {
    fn by_answers(&self, _fault: &PlannedFault, _answered: u64) -> Proof {
        Proof::of(0, "nothing in this build applies it")
    }
}

/// The implementation of a fault.
#[must_use]
pub fn of(kind: &FaultKind) -> &dyn Fault {
    REGISTRY.iter().find_map(|applied| applied(kind)).unwrap_or(&Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_fault_on_clients_is_taken_back_once_however_its_task_goes() {
        let times = Rc::new(std::cell::Cell::new(0));
        let undo = || {
            let times = Rc::clone(&times);
            Undo::with(move || times.set(times.get() + 1))
        };
        let local = tokio::task::LocalSet::new();
        let (in_time, aborted, panics) = (undo(), undo(), undo());
        local
            .run_until(async {
                drop(in_time);
                assert_eq!(times.get(), 1);
                let pending = tokio::task::spawn_local(async move {
                    let _undo = aborted;
                    std::future::pending::<()>().await;
                });
                tokio::task::yield_now().await;
                pending.abort();
                assert!(pending.await.is_err_and(|error| error.is_cancelled()));
                assert_eq!(times.get(), 2);
                let panicking = tokio::task::spawn_local(async move {
                    let _undo = panics;
                    panic!("a bug of the test's own");
                });
                assert!(panicking.await.is_err_and(|error| error.is_panic()));
                assert_eq!(times.get(), 3);
            })
            .await;
    }

    #[test]
    fn every_type_of_the_plan_is_applied() {
        assert_eq!(REGISTRY.len(), plan::REGISTRY.len());
        let text = include_str!("../../../selftest/src/scenarios/authority.toml");
        let plan = crate::testing::plan(text);
        let faults = plan.phases.iter().flat_map(|phase| &phase.faults);
        for fault in faults {
            let applied = REGISTRY.iter().filter(|applied| applied(&fault.kind).is_some()).count();
            assert_eq!(applied, 1, "{}", fault.kind.name());
        }
    }

    #[test]
    fn faults_of_one_instant_share_what_the_target_counts() {
        let metrics = FanoutMetrics::default();
        let sides =
            |planned_together| Sides { before: &metrics, after: &metrics, planned_together };
        assert_eq!(sides(30).part(30, 10), 10);
        assert_eq!(sides(30).part(15, 10), 5);
        assert_eq!(sides(30).part(0, 10), 0);
    }
}
