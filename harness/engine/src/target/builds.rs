//! Which builds the sockets are of, where the target's answer to an upgrade names its build.
//!
//! A balancer in front of a rollout may send sockets to the old build and requests to the new one: who asks once by
//! HTTP does not see it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use khala_evidence::builds::SocketBuilds;

use crate::said;

/// Builds told apart; further ones are counted as one.
const BUILDS_MAX: usize = 16;
/// What those are called.
const FURTHER: &str = "others";

/// Counts the builds of upgrades that were granted.
#[derive(Debug)]
pub struct Builds {
    /// In lower case.
    header: String,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    named: BTreeMap<Box<str>, u64>,
    /// Upgrades that named none.
    unnamed: u64,
}

impl Builds {
    /// Counts by a header of the answer.
    #[must_use]
    pub fn by(header: &str) -> Self {
        Self { header: header.to_ascii_lowercase(), seen: Mutex::default() }
    }

    /// The header, in lower case.
    #[must_use]
    pub fn header(&self) -> &str {
        &self.header
    }

    /// An upgrade was granted, by this build; `None` where its answer has no such header, or an empty one.
    pub fn saw(&self, build: Option<&str>) {
        let mut seen = self.lock();
        let Some(build) = build.map(said::build).filter(|build| !build.is_empty()) else {
            seen.unnamed += 1;
            return;
        };
        let known = seen.named.len() < BUILDS_MAX || seen.named.contains_key(&build);
        *seen.named.entry(if known { build } else { FURTHER.into() }).or_insert(0) += 1;
    }

    /// The builds of the sockets, where the target said `asked` when a request asked for it.
    #[must_use]
    pub fn sockets(&self, asked: Option<&str>) -> SocketBuilds {
        let seen = self.lock();
        SocketBuilds {
            asked: asked.map(str::to_owned),
            named: seen.named.iter().map(|(build, count)| (build.to_string(), *count)).collect(),
            unnamed: seen.unnamed,
        }
    }

    /// The sockets in words, where some are of another build than the one that was asked for by other means.
    #[must_use]
    pub fn otherwise(&self, build: Option<&str>) -> Option<String> {
        let SocketBuilds { named, unnamed, .. } = self.sockets(build);
        if named.keys().all(|socket| Some(&**socket) == build) {
            return None;
        }
        let all = named.values().sum::<u64>() + unnamed;
        let mut seen: Vec<_> = named.iter().collect();
        seen.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let parts =
            seen.iter().map(|(build, count)| format!("{build} on {count} of {all} sockets"));
        let none = (unnamed > 0).then(|| self.unnamed_of(unnamed, all));
        Some(parts.chain(none).collect::<Vec<_>>().join(", "))
    }

    /// How many upgrades named no build, in words and as a number, where there were any.
    #[must_use]
    pub fn unnamed(&self) -> Option<(String, u64)> {
        let sockets = self.sockets(None);
        let (unnamed, all) = (sockets.unnamed, sockets.all());
        (unnamed > 0).then(|| (self.unnamed_of(unnamed, all), unnamed))
    }

    fn unnamed_of(&self, unnamed: u64, all: u64) -> String {
        format!("no header `{}` on {unnamed} of {all} sockets", self.header)
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_another_build_are_told_with_their_share() {
        let builds = Builds::by("X-Build");
        assert_eq!((builds.header(), builds.otherwise(Some("2"))), ("x-build", None));
        builds.saw(Some("2"));
        assert_eq!(builds.otherwise(Some("2")), None);
        assert_eq!(builds.otherwise(None).as_deref(), Some("2 on 1 of 1 sockets"));
        builds.saw(Some("1"));
        builds.saw(Some("1"));
        let told = "1 on 2 of 3 sockets, 2 on 1 of 3 sockets";
        assert_eq!(builds.otherwise(Some("2")).as_deref(), Some(told));
        (0..40).for_each(|number| builds.saw(Some(&format!("b{number}"))));
        assert_eq!(builds.sockets(None).named.len(), BUILDS_MAX + 1);
    }

    #[test]
    fn a_commit_is_the_same_build_on_a_socket_as_on_a_request() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let builds = Builds::by("x-build");
        builds.saw(Some(commit));
        assert_eq!(builds.otherwise(Some(&said::build(commit))), None);
    }

    #[test]
    fn sockets_without_a_build_have_their_share() {
        let builds = Builds::by("X-Build");
        builds.saw(Some("2"));
        assert_eq!(builds.unnamed(), None);
        builds.saw(None);
        builds.saw(Some(" "));
        let told = "no header `x-build` on 2 of 3 sockets";
        assert_eq!(builds.unnamed(), Some((told.to_owned(), 2)));
        assert_eq!(builds.otherwise(Some("2")), None, "they are of no other build that is known");
        assert_eq!(
            builds.otherwise(Some("3")),
            Some(format!("2 on 1 of 3 sockets, {told}")),
            "of all sockets, and not of those with a build"
        );
        let sockets = builds.sockets(Some("2"));
        assert_eq!((sockets.named["2"], sockets.unnamed, sockets.all()), (1, 2, 3));
    }
}
