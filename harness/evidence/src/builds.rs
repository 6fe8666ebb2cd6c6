//! Builds that were told, with their shares: of the sockets of a run, and of whatever else was asked.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the answers to upgrades named as their build, where the target is said to name it by a header.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SocketBuilds {
    /// What the target said of its build when a request asked for it.
    pub asked: Option<String>,
    /// The builds, with how many upgrades named them.
    pub named: BTreeMap<String, u64>,
    /// Upgrades whose answer named none.
    pub unnamed: u64,
}

impl SocketBuilds {
    /// Upgrades that were granted.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.named.values().sum::<u64>() + self.unnamed
    }

    /// The builds with their shares; empty where there was no upgrade.
    #[must_use]
    pub fn told(&self) -> String {
        shares(&self.named, &[("no header", self.unnamed)])
    }
}

/// Builds with their shares, the most frequent first, then what told none.
#[must_use]
pub fn shares(named: &BTreeMap<String, u64>, untold: &[(&str, u64)]) -> String {
    let untold = untold.iter().filter(|(_, count)| *count > 0);
    let all = named.values().sum::<u64>() + untold.clone().map(|(_, count)| count).sum::<u64>();
    let share = |count: u64| {
        format!("{} % ({count} of {all})", percent(100.0 * count as f64 / all.max(1) as f64))
    };
    let mut builds: Vec<_> = named.iter().collect();
    builds.sort_by(|one, other| other.1.cmp(one.1).then(one.0.cmp(other.0)));
    let told =
        builds.into_iter().map(|(build, &count)| format!("{} {}", quoted(build), share(count)));
    let untold = untold.map(|(why, count)| format!("{why} {}", share(*count)));
    told.chain(untold).collect::<Vec<_>>().join(", ")
}

/// A build as it stands in a sentence.
#[must_use]
pub fn quoted(build: &str) -> String {
    format!("`{}`", build.replace('`', "'"))
}

/// A share in percent: what is neither none nor all never reads as such.
fn percent(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        share if share < 1.0 => "less than 1".to_owned(),
        share if share > 99.0 && share < 100.0 => "more than 99".to_owned(),
        share => format!("{share:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_named_no_build_has_its_share_beside_the_builds() {
        let named = |builds: &[(&str, u64)]| {
            builds.iter().map(|(build, count)| ((*build).to_owned(), *count)).collect()
        };
        let of = |builds: &[(&str, u64)], unnamed| {
            SocketBuilds { asked: None, named: named(builds), unnamed }.told()
        };
        assert_eq!(of(&[("7", 10)], 10), "`7` 50 % (10 of 20), no header 50 % (10 of 20)");
        assert_eq!(of(&[("6", 1), ("7", 3)], 0), "`7` 75 % (3 of 4), `6` 25 % (1 of 4)");
        assert_eq!(of(&[("7", 20)], 0), "`7` 100 % (20 of 20)");
        assert_eq!(of(&[], 2), "no header 100 % (2 of 2)");
        assert_eq!(of(&[], 0), "");
        assert_eq!(
            of(&[("7", 1_999)], 1),
            "`7` more than 99 % (1999 of 2000), no header less than 1 % (1 of 2000)"
        );
    }
}
