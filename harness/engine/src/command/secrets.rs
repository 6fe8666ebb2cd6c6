//! Secrets that commands told in this process: nothing but what was told says that a text has one in it, so whoever
//! shows or keeps a text asks here, too. And all that were met in it, wherever they were read from: who says why the process
//! ends knows of no plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// What was told until now.
struct Told {
    /// By the words of the command: what was told for the next who needs it.
    ready: BTreeMap<Vec<String>, String>,
    /// All of it, line by line: a file of tokens has one a line.
    all: BTreeSet<Vec<u8>>,
    /// What a variable or a file held, likewise.
    met: BTreeSet<Vec<u8>>,
}

static TOLD: Mutex<Told> =
    Mutex::new(Told { ready: BTreeMap::new(), all: BTreeSet::new(), met: BTreeSet::new() });

fn held() -> MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers what a command told.
pub(crate) fn remember(secret: &str) {
    held().all.extend(lines(secret));
}

/// Remembers what a variable, a file or a URL held.
pub(crate) fn meet(secret: &str) {
    held().met.extend(lines(secret));
}

fn lines(secret: &str) -> impl Iterator<Item = Vec<u8>> {
    let lines = secret.lines().map(|line| line.trim().as_bytes().to_vec());
    lines.filter(|line| !line.is_empty())
}

/// Remembers what a command told, and keeps it for the next who needs it: a person may have to touch a key for each.
pub(crate) fn keep(words: &[String], secret: String) {
    remember(&secret);
    held().ready.insert(words.to_vec(), secret);
}

/// Whether something is kept for the next who needs it.
pub(crate) fn is_kept(words: &[String]) -> bool {
    held().ready.contains_key(words)
}

/// What was kept, once: who needs it after that asks the command again, for a token may have a short life.
pub(crate) fn take(words: &[String]) -> Option<String> {
    held().ready.remove(words)
}

/// All that commands told.
pub(super) fn all() -> Vec<Vec<u8>> {
    held().all.iter().cloned().collect()
}

/// All that were met, and all that commands told.
pub(super) fn met() -> Vec<Vec<u8>> {
    held().met_or_told()
}

/// The same without waiting for anybody; `None` where whoever asks may hold them.
pub(super) fn try_met() -> Option<Vec<Vec<u8>>> {
    match TOLD.try_lock() {
        Ok(held) => Some(held.met_or_told()),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner().met_or_told()),
        Err(TryLockError::WouldBlock) => None,
    }
}

impl Told {
    fn met_or_told(&self) -> Vec<Vec<u8>> {
        self.met.union(&self.all).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Redactor;

    #[test]
    fn what_a_command_told_is_kept_for_one_and_known_to_all() {
        let words = ["tell".to_owned(), "of-secrets-of-a-test".to_owned()];
        keep(&words, "hunter2-first\nhunter2-second\n".to_owned());
        assert!(is_kept(&words));
        assert_eq!(take(&words).as_deref(), Some("hunter2-first\nhunter2-second\n"));
        assert_eq!((take(&words), is_kept(&words)), (None, false));
        let told = Redactor::of_environment([]).word("a hunter2-second, and hunter2-first");
        assert_eq!(told, "a [redacted], and [redacted]");
    }

    #[test]
    fn what_was_met_is_known_to_who_says_why_a_process_ends_and_to_nobody_else() {
        meet("hunter3-first\n\n hunter3-second \n");
        remember("hunter3-told");
        let said = "hunter3-second, hunter3-told and hunter3-first";
        let told = Redactor::of_process().word(said);
        assert_eq!(told, "[redacted], [redacted] and [redacted]");
        // A test beside this one may hold them for a moment.
        let of_panic = std::iter::repeat_with(Redactor::of_panic).find_map(|it| it);
        assert_eq!(of_panic.expect("nobody holds them for ever").word(said), told);
        assert!(Redactor::of_environment([]).word(said).contains("hunter3-first"));
        let held = held();
        assert!(try_met().is_none(), "who holds them is not waited for");
        drop(held);
    }
}
