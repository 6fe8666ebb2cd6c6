//! Faults on the target as a whole, each a task of its own: a restart that takes its time holds up
//! nothing but what the restarted target owes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use khala_evidence::record::{Micros, Record};
use khala_plan::schedule::PlannedFault;
use tokio::sync::{Mutex, Notify};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::fault::{Fault, Grip, Hooks};
use crate::observe::{Event, EventKind};
use crate::owed;
use crate::target::child::Own;

/// The target's process, where it is the harness's own; held by whoever ends or restarts it.
pub(crate) type Child = Arc<Mutex<Option<Box<dyn Own>>>>;

/// What faults came to, until the conductor takes it: a few records and events a fault.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    telling: std::sync::Mutex<Telling>,
    said: Notify,
    taken: Notify,
}

/// How long who wants the journal to have something waits for that.
const TAKEN_WITHIN: Duration = Duration::from_secs(1);

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
        self.0.said.notify_one();
    }

    /// Waits until all that was said has been taken down.
    pub async fn taken(&self) {
        let all = async {
            loop {
                let taken = self.0.taken.notified();
                if self.telling().events.is_empty() {
                    return;
                }
                taken.await;
            }
        };
        // Nobody takes anything down any more once the run is over.
        let _ = tokio::time::timeout(TAKEN_WITHIN, all).await;
    }

    /// Waits until something is said.
    pub(super) async fn said(&self) {
        self.0.said.notified().await;
    }

    fn take(&self) -> Telling {
        let telling = std::mem::take(&mut *self.telling());
        self.0.taken.notify_waiters();
        telling
    }

    fn telling(&self) -> std::sync::MutexGuard<'_, Telling> {
        // Nothing that is done under the lock can panic.
        self.0.telling.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
    /// Which fault each task is of.
    faults: HashMap<Id, u16>,
    told: Told,
    hooks: Option<Arc<Hooks>>,
    ending: CancellationToken,
}

impl Acts {
    /// `interrupt` cuts what lasts short.
    pub fn new(
        process: Option<Box<dyn Own>>,
        hooks: Option<Arc<Hooks>>,
        interrupt: &CancellationToken,
    ) -> Self {
        let child = Arc::new(Mutex::new(process));
        let (under_way, faults) = (JoinSet::new(), HashMap::new());
        Self {
            child,
            under_way,
            faults,
            told: Told::default(),
            hooks,
            ending: interrupt.child_token(),
        }
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

    /// Says when what lasts is to be taken back, for a [`Grip`].
    pub fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }

    /// What is to be taken back is taken back now.
    pub fn cut_short(&self) {
        self.ending.cancel();
    }

    /// Whether something is owed that takes a fault back.
    pub fn owe(&self) -> bool {
        owed::any()
    }

    /// Gives up what is under way; what it owes is handed on.
    pub async fn give_up(&mut self) {
        self.under_way.shutdown().await;
    }

    /// Begins one.
    pub fn begin(&mut self, fault: &PlannedFault, acting: &dyn Fault, grip: Grip) {
        let (id, act) = (fault.id, acting.on_target(fault, grip));
        let task = self.under_way.spawn(async move { Acted { fault: id, done: act.await } });
        self.faults.insert(task.id(), id);
    }

    /// The next that ends; pends while none is under way. May be dropped and asked again.
    pub async fn next(&mut self) -> Acted {
        loop {
            match self.under_way.join_next_with_id().await {
                Some(Ok((_, acted))) => return acted,
                Some(Err(error)) => {
                    let Some(fault) = self.faults.get(&error.id()) else { continue };
                    let why =
                        "the harness failed to carry it out: a bug of its own, not the target's";
                    return Acted { fault: *fault, done: Err(why.to_owned()) };
                }
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
        self.child.try_lock().ok()?.as_mut().and_then(|process| process.ended())
    }

    /// Ends the target's process, where it is the harness's own.
    pub async fn stop(&mut self) {
        // Nobody holds it now; if somebody did, it would die with this process all the same.
        let held = tokio::time::timeout(RELEASED_WITHIN, self.child.lock()).await;
        if let Some(process) = held.ok().and_then(|mut child| child.take()) {
            process.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use khala_plan::fault::publish_burst::PublishBurst;

    use super::*;
    use crate::clock::Clock;
    use crate::fault::{OnTarget, Proof};
    use crate::owed::{Debt, Owed, TakingBack};

    /// Counts how often it was taken back.
    struct Count(Arc<AtomicUsize>);

    impl Debt for Count {
        fn what(&self) -> String {
            "count".to_owned()
        }

        fn take_back(self: Arc<Self>) -> TakingBack {
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                self.0.fetch_add(1, Ordering::SeqCst);
                Ok(())
            })
        }

        fn begin(&self) {}
    }

    /// How a fault of the tests goes on once it owes something.
    #[derive(Clone, Copy)]
    enum Goes {
        Well,
        OnForEver,
        Wrong,
    }

    /// Owes one count from its beginning on.
    struct Owing {
        how: Goes,
        count: Arc<AtomicUsize>,
        told: Told,
    }

    impl Fault for Owing {
        fn on_target(&self, fault: &PlannedFault, _grip: Grip) -> OnTarget {
            let (how, told, fault) = (self.how, self.told.clone(), fault.id);
            let debt = Count(Arc::clone(&self.count));
            Box::pin(async move {
                let clock = Clock::starting_in(Duration::ZERO);
                let owed = Owed::new(debt, fault, &told, clock).await;
                match how {
                    Goes::Well => {}
                    Goes::OnForEver => std::future::pending().await,
                    Goes::Wrong => panic!("a bug of the test's own"),
                }
                owed.take_back().await.map(|()| 1)
            })
        }

        fn by_answers(&self, _fault: &PlannedFault, answered: u64) -> Proof {
            Proof::of(answered, "a test")
        }
    }

    fn grip(told: Told) -> Grip {
        let (_listener, target) = crate::testing::frozen();
        let http = crate::http::Http::new(&target.reach, "test", Duration::from_secs(5));
        let (clock, child) = (Clock::starting_in(Duration::ZERO), Child::default());
        Grip { target, http, child, clock, told, hooks: None, ending: CancellationToken::new() }
    }

    async fn until(what: impl Fn() -> bool) {
        let all = async {
            while !what() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.expect("in time");
    }

    /// How often it was taken back, what the journal says in its order, and what became of the fault.
    async fn play(how: Goes) -> (usize, Vec<&'static str>, Option<Result<u64, String>>) {
        let kind = PublishBurst { events: 1, over: Duration::ZERO }.into();
        let (at_us, duration_us, spread_us, targets) = (0, None, None, Vec::new());
        let fault = PlannedFault { id: 7, phase: 1, at_us, duration_us, spread_us, kind, targets };
        let mut acts = Acts::new(None, None, &CancellationToken::new());
        let count = Arc::new(AtomicUsize::new(0));
        let owing = Owing { how, count: Arc::clone(&count), told: acts.told() };
        acts.begin(&fault, &owing, grip(acts.told()));
        let mut journal = acts.told();
        let mut events = Vec::new();
        let mut take = |told: &mut Told| events.extend(told.take().events);
        until(|| !acts.told().telling().events.is_empty()).await;
        take(&mut journal);
        let done = match how {
            Goes::OnForEver => None,
            Goes::Well | Goes::Wrong => Some(acts.next().await.done),
        };
        acts.give_up().await;
        until(|| count.load(Ordering::SeqCst) > 0).await;
        until(|| !acts.told().telling().events.is_empty()).await;
        take(&mut journal);
        let said = events.iter().map(|event| match &event.kind {
            EventKind::UndoOwed { id: 7, what } if what == "count" => "owed",
            EventKind::UndoDone { id: 7, failed: None } => "done",
            other => panic!("{other:?}"),
        });
        (count.load(Ordering::SeqCst), said.collect(), done)
    }

    #[tokio::test]
    async fn what_is_owed_is_taken_back_once_and_journalled_however_its_owner_goes() {
        let both = vec!["owed", "done"];
        assert_eq!(play(Goes::Well).await, (1, both.clone(), Some(Ok(1))));
        assert_eq!(play(Goes::OnForEver).await, (1, both.clone(), None), "aborted");
        let (times, said, done) = play(Goes::Wrong).await;
        assert_eq!((times, said), (1, both), "panicked");
        assert!(done.expect("it ended").is_err_and(|why| why.contains("bug of its own")));
    }
}
