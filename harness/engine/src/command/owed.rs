//! Commands that take something back, and are owed until they run.
//!
//! Who owes one holds an [`Owed`]. However it goes (its task is dropped, a thread panics), the command runs:
//! it is started by whoever drops it. When the process quits at once, [`start_all`] starts what is left; the
//! commands outlive it. Nothing helps against a process that is killed: its events say what is owed.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Group, Place};

/// Between two looks whether a command that nobody can wait for otherwise has ended.
const STEP: Duration = Duration::from_millis(10);

/// A command and where it runs.
#[derive(Clone, Debug)]
struct Debt {
    words: Vec<String>,
    place: Place,
}

impl Debt {
    /// Starts it; what it says is nobody's to hear.
    fn start(&self) -> Option<Child> {
        let mut command = self.place.command(&self.words)?;
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.inspect_err(|error| tracing::error!(%error, words = ?self.words, "not undone")).ok()
    }
}

static DEBTS: Mutex<BTreeMap<u64, Debt>> = Mutex::new(BTreeMap::new());

fn debts() -> MutexGuard<'static, BTreeMap<u64, Debt>> {
    // Nothing that is done under the lock can panic.
    DEBTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One that is owed.
#[derive(Debug)]
pub struct Owed(u64);

impl Owed {
    /// From now on it is owed.
    #[must_use]
    pub fn new(words: &[String], place: &Place) -> Self {
        let mut debts = debts();
        let id = debts.last_key_value().map_or(0, |(last, _)| last + 1);
        debts.insert(id, Debt { words: words.to_vec(), place: place.clone() });
        Self(id)
    }

    /// It has run, or its owner runs it to its end.
    pub fn settled(self) {
        debts().remove(&self.0);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        let Some(debt) = debts().remove(&self.0) else { return };
        tracing::error!(words = ?debt.words, "its owner is gone: taking it back");
        let Some(mut child) = debt.start() else { return };
        let mut group = Group::of(Some(child.id()));
        let until = Instant::now() + debt.place.within;
        while Instant::now() < until {
            if !matches!(child.try_wait(), Ok(None)) {
                group.release();
                return;
            }
            std::thread::sleep(STEP);
        }
        // The group is ended where it goes out of scope.
    }
}

/// Whether any command is owed.
#[must_use]
pub fn any() -> bool {
    !debts().is_empty()
}

/// Starts all that are owed, and waits for none: for a process that quits at once. Returns their words.
pub fn start_all() -> Vec<Vec<String>> {
    let owed: Vec<_> = std::mem::take(&mut *debts()).into_values().collect();
    owed.into_iter()
        .map(|debt| {
            drop(debt.start());
            debt.words
        })
        .collect()
}
