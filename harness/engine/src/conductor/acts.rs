//! Faults on the target as a whole, each a task of its own: a restart that takes its time holds up
//! nothing but what the restarted target owes.

use std::sync::Arc;
use std::time::Duration;

use khala_evidence::record::{Micros, Record};
use khala_plan::schedule::PlannedFault;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::command::owed;
use crate::fault::{Fault, Grip, Hooks};
use crate::observe::{Event, EventKind};
use crate::target::child::Reference;

/// The target's process, where it is the harness's own; held by whoever ends or restarts it.
pub(crate) type Child = Arc<Mutex<Option<Reference>>>;

/// What faults came to, until the conductor takes it: a few records and events a fault.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<std::sync::Mutex<Telling>>);

#[derive(Debug, Default)]
pub(super) struct Telling {
    pub records: Vec<Record>,
    pub events: Vec<Event>,
}

impl Told {
    /// A request ended.
    pub fn push(&self, record: Record) {
        self.telling().records.push(record);
    }

    /// Something happened at this time of the run.
    pub fn say(&self, at_us: Micros, kind: EventKind) {
        self.telling().events.push(Event { at_us, kind });
    }

    fn take(&self) -> Telling {
        std::mem::take(&mut self.telling())
    }

    fn telling(&self) -> std::sync::MutexGuard<'_, Telling> {
        // Nothing that is done under the lock can panic.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long the process may be held by a fault when the run wants to end it: a restart's own bounds.
const RELEASED_WITHIN: Duration = Duration::from_secs(30);

/// A fault that was carried out, or could not be.
#[derive(Debug)]
pub(super) struct Acted {
    pub fault: u16,
    /// How often the target answered to it, or why it could not be carried out.
    pub done: Result<u64, String>,
}

/// The faults under way, as many as the plan has at the most.
pub(super) struct Acts {
    child: Child,
    under_way: JoinSet<Acted>,
    told: Told,
    hooks: Option<Arc<Hooks>>,
}

impl Acts {
    pub fn new(reference: Option<Reference>, hooks: Option<Arc<Hooks>>) -> Self {
        let child = Arc::new(Mutex::new(reference));
        Self { child, under_way: JoinSet::new(), told: Told::default(), hooks }
    }

    /// Where requests of faults are told, for a [`Grip`].
    pub fn told(&self) -> Told {
        self.told.clone()
    }

    /// What was told since the last time.
    pub fn take_told(&self) -> Telling {
        self.told.take()
    }

    /// The target's process, for a [`Grip`].
    pub fn child(&self) -> Child {
        Arc::clone(&self.child)
    }

    /// What commands of the user's run with, for a [`Grip`].
    pub fn hooks(&self) -> Option<Arc<Hooks>> {
        self.hooks.clone()
    }

    /// What is to be taken back is taken back now.
    pub fn cut_short(&self) {
        if let Some(hooks) = &self.hooks {
            hooks.ending.cancel();
        }
    }

    /// Whether a command is owed that takes something back.
    pub fn owe(&self) -> bool {
        self.hooks.is_some() && owed::any()
    }

    /// Begins one.
    pub fn begin(&mut self, fault: &PlannedFault, acting: &dyn Fault, grip: Grip) {
        let (id, act) = (fault.id, acting.on_target(fault, grip));
        self.under_way.spawn(async move { Acted { fault: id, done: act.await } });
    }

    /// The next that ends; pends while none is under way. May be dropped and asked again.
    pub async fn next(&mut self) -> Acted {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(acted)) => return acted,
                // A bug of ours, not a target's.
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether none is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Why the target's process has ended unasked, if it has. Nothing while a fault holds it.
    pub fn child_ended(&self) -> Option<String> {
        self.child.try_lock().ok()?.as_mut().and_then(Reference::ended)
    }

    /// Gives up what is under way and ends the target's process, where it is the harness's own.
    pub async fn stop(&mut self) {
        self.under_way.shutdown().await;
        // Nobody holds it now; if somebody did, it would die with this process all the same.
        let held = tokio::time::timeout(RELEASED_WITHIN, self.child.lock()).await;
        if let Some(reference) = held.ok().and_then(|mut child| child.take()) {
            reference.stop().await;
        }
    }
}
