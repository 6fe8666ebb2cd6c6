//! Which builds the sockets are of, where the target's answer to an upgrade names its build.
//!
//! A balancer in front of a rollout may send sockets to the old build and requests to the new one: who asks once by
//! HTTP does not see it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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
    seen: Mutex<BTreeMap<Box<str>, u64>>,
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

    /// An upgrade was granted, by this build.
    pub fn saw(&self, build: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let build = said::text(build);
        let known = seen.len() < BUILDS_MAX || seen.contains_key(&build);
        *seen.entry(if known { build } else { FURTHER.into() }).or_insert(0) += 1;
    }

    /// The builds with how many sockets were theirs, the most first.
    #[must_use]
    pub fn seen(&self) -> Vec<(Box<str>, u64)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen: Vec<_> = seen.iter().map(|(build, count)| (build.clone(), *count)).collect();
        seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        seen
    }

    /// The sockets in words, where they are not all of the build that was asked for by other means.
    #[must_use]
    pub fn otherwise(&self, build: Option<&str>) -> Option<String> {
        let seen = self.seen();
        if seen.iter().all(|(socket, _)| Some(&**socket) == build) {
            return None;
        }
        let all: u64 = seen.iter().map(|(_, count)| count).sum();
        let parts =
            seen.iter().map(|(build, count)| format!("{build} on {count} of {all} sockets"));
        Some(parts.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_another_build_are_told_with_their_share() {
        let builds = Builds::by("X-Build");
        assert_eq!((builds.header(), builds.otherwise(Some("2"))), ("x-build", None));
        builds.saw("2");
        assert_eq!(builds.otherwise(Some("2")), None);
        assert_eq!(builds.otherwise(None).as_deref(), Some("2 on 1 of 1 sockets"));
        builds.saw("1");
        builds.saw("1");
        let told = "1 on 2 of 3 sockets, 2 on 1 of 3 sockets";
        assert_eq!(builds.otherwise(Some("2")).as_deref(), Some(told));
        (0..40).for_each(|number| builds.saw(&format!("b{number}")));
        assert_eq!(builds.seen().len(), BUILDS_MAX + 1);
    }
}
