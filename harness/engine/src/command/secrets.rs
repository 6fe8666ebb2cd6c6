//! Secrets that commands told in this process: nothing but what was told says that a text has one in it, so whoever
//! shows or keeps a text asks here, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was told until now.
struct Told {
    /// By the words of the command: what was told for the next who needs it.
    ready: BTreeMap<Vec<String>, String>,
    /// All of it, line by line: a file of tokens has one a line.
    all: BTreeSet<Vec<u8>>,
}

static TOLD: Mutex<Told> = Mutex::new(Told { ready: BTreeMap::new(), all: BTreeSet::new() });

fn held() -> MutexGuard<'static, Told> {
    TOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers what a command told.
pub(crate) fn remember(secret: &str) {
    let lines = secret.lines().map(|line| line.trim().as_bytes().to_vec());
    held().all.extend(lines.filter(|line| !line.is_empty()));
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
}
