//! What was done to the target and is owed to be taken back, whatever becomes of who did it.
//!
//! Who owes holds an [`Owed`]: from its beginning on, which is before anything is done, it stands in the
//! journal. Its owner takes it back in time. However else it goes (its task is aborted, a thread panics),
//! the guard hands it to a janitor, a thread of its own, and the run waits for that: see [`any`]. When the
//! process quits at once, [`begin_all`] begins what is left, and waits for none. Nothing helps against a
//! process that is killed: its journal says what is owed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::conductor::Told;
use crate::observe::EventKind;

/// Takes something back; ends by itself. Says in a sentence what went wrong.
pub type TakingBack = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Something that can be taken back. Doing it twice changes nothing.
pub trait Debt: Send + Sync + 'static {
    /// What is owed, as a wish to whoever finds that it was not done.
    fn what(&self) -> String;

    /// Takes it back.
    fn take_back(self: Arc<Self>) -> TakingBack;

    /// Begins to take it back, and waits for nothing: the process quits.
    fn begin(&self);
}

#[derive(Default)]
struct Debts {
    owed: BTreeMap<u64, Entry>,
    /// How many janitors are at work.
    janitors: usize,
}

#[derive(Clone)]
struct Entry {
    debt: Arc<dyn Debt>,
    journal: Journal,
}

/// Where it is told.
#[derive(Clone)]
struct Journal {
    fault: u16,
    told: Told,
    clock: Clock,
}

impl Journal {
    fn say(&self, kind: EventKind) {
        self.told.say(self.clock.now(), kind);
    }
}

impl Entry {
    async fn take_back(self) -> Result<(), String> {
        let done = self.debt.take_back().await;
        let failed = done.clone().err();
        self.journal.say(EventKind::UndoDone { id: self.journal.fault, failed });
        done
    }
}

static DEBTS: Mutex<Debts> = Mutex::new(Debts { owed: BTreeMap::new(), janitors: 0 });

fn debts() -> MutexGuard<'static, Debts> {
    // Nothing that is done under the lock can panic.
    DEBTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that is owed.
#[must_use = "what is owed is taken back where this is dropped"]
#[derive(Debug)]
pub struct Owed(u64);

impl Owed {
    /// From now on it is owed; returns when the journal has it.
    pub async fn new(debt: impl Debt, fault: u16, told: &Told, clock: Clock) -> Self {
        let journal = Journal { fault, told: told.clone(), clock };
        journal.say(EventKind::UndoOwed { id: fault, what: debt.what() });
        let owed = {
            let mut debts = debts();
            let id = debts.owed.last_key_value().map_or(0, |(last, _)| last + 1);
            debts.owed.insert(id, Entry { debt: Arc::new(debt), journal });
            Self(id)
        };
        told.taken().await;
        owed
    }

    /// Takes it back.
    ///
    /// # Errors
    /// What went wrong, in a sentence; it is not tried again.
    pub async fn take_back(self) -> Result<(), String> {
        // It stays owed until it is done: this may be dropped half way.
        let entry = debts().owed.get(&self.0).cloned();
        let done = match entry {
            Some(entry) => entry.take_back().await,
            None => Ok(()),
        };
        debts().owed.remove(&self.0);
        done
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let entry = {
            let mut debts = debts();
            let Some(entry) = debts.owed.remove(&self.0) else { return };
            debts.janitors += 1;
            entry
        };
        tracing::error!(what = entry.debt.what(), "its owner is gone: taking it back");
        let debt = Arc::clone(&entry.debt);
        let janitor = std::thread::Builder::new().name("khala-janitor".to_owned());
        let started = janitor.spawn(move || {
            let _at_work = AtWork;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => drop(runtime.block_on(entry.take_back())),
                Err(_) => entry.debt.begin(),
            }
        });
        if started.is_err() {
            debt.begin();
            drop(AtWork);
        }
    }
}

/// A janitor, until it has ended, however it ends.
struct AtWork;

impl Drop for AtWork {
    fn drop(&mut self) {
        debts().janitors -= 1;
    }
}

/// Whether anything is owed, or being taken back.
#[must_use]
pub fn any() -> bool {
    let debts = debts();
    !debts.owed.is_empty() || debts.janitors > 0
}

/// Begins to take back all that is owed, and waits for none: for a process that quits at once. Returns
/// what it was.
pub fn begin_all() -> Vec<String> {
    let owed = std::mem::take(&mut debts().owed);
    owed.into_values()
        .map(|Entry { debt, .. }| {
            debt.begin();
            debt.what()
        })
        .collect()
}
