//! What happened in each second of the run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::pairs;
use crate::record::{Micros, second_of};

/// Counts of one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Second {
    /// Connects begun.
    pub connects: u64,
    /// Of them, those of clients that had connected before.
    #[serde(default)]
    pub reconnects: u64,
    /// Tokens asked for.
    #[serde(default)]
    pub mints: u64,
    /// Upgrades accepted.
    pub connected: u64,
    /// Sockets gone.
    pub disconnected: u64,
    /// Clients that became live: replay complete and at head.
    pub converged: u64,
    /// Updates delivered.
    pub deliveries: u64,
    /// Commands acknowledged.
    pub published: u64,
    /// Operations that failed.
    pub errors: u64,
}

/// Counts by second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    #[serde(with = "pairs")]
    seconds: BTreeMap<u32, Second>,
}

impl Second {
    /// Adds the counts of another.
    pub fn add(&mut self, theirs: &Self) {
        self.connects += theirs.connects;
        self.reconnects += theirs.reconnects;
        self.mints += theirs.mints;
        self.connected += theirs.connected;
        self.disconnected += theirs.disconnected;
        self.converged += theirs.converged;
        self.deliveries += theirs.deliveries;
        self.published += theirs.published;
        self.errors += theirs.errors;
    }
}

impl Series {
    /// The second in which `at` lies.
    pub fn at(&mut self, at: Micros) -> &mut Second {
        let second = second_of(at);
        self.seconds.entry(second).or_default()
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        for (&second, theirs) in &other.seconds {
            self.seconds.entry(second).or_default().add(theirs);
        }
    }

    /// The seconds in which something happened.
    pub fn seconds(&self) -> impl Iterator<Item = (u32, &Second)> + '_ {
        self.seconds.iter().map(|(&second, counts)| (second, counts))
    }

    /// Every second from the first of the run to the last, with the sockets open at its end.
    pub fn rows(&self) -> impl Iterator<Item = (u32, Second, u64)> + '_ {
        let last = self.seconds.last_key_value().map_or(0, |(&second, _)| second);
        let mut open = 0_u64;
        (0..=last).map(move |second| {
            let row = self.seconds.get(&second).copied().unwrap_or_default();
            open = (open + row.connected).saturating_sub(row.disconnected);
            (second, row, open)
        })
    }

    /// A count over all seconds.
    #[must_use]
    pub fn total(&self, count: impl Fn(&Second) -> u64) -> u64 {
        self.seconds.values().map(count).sum()
    }

    /// Most sockets open at the end of a second.
    #[must_use]
    pub fn peak_open(&self) -> u64 {
        self.rows().map(|(_, _, open)| open).max().unwrap_or(0)
    }
}
