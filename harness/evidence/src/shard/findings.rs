//! Findings: what was seen that the contract does not say, by name, with one message each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::facts::Finding;

/// Names kept apart; further ones are counted together.
const NAMES_MAX: usize = 64;
const OTHERS: &str = "others";

/// Findings by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    by_name: BTreeMap<String, (String, u64)>,
}

impl Findings {
    /// Counts a finding. Of several messages the first in alphabetical order is kept, so that the
    /// result does not depend on who came first.
    pub fn add(&mut self, name: String, message: String, count: u64) {
        let known = self.by_name.contains_key(&name) || self.by_name.len() < NAMES_MAX;
        let name = if known { name } else { OTHERS.to_owned() };
        let entry = self.by_name.entry(name).or_insert_with(|| (message.clone(), 0));
        entry.1 += count;
        if message < entry.0 {
            entry.0 = message;
        }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: Self) {
        for (name, (message, count)) in other.by_name {
            self.add(name, message, count);
        }
    }

    /// As a list, by name.
    #[must_use]
    pub fn into_list(self) -> Vec<Finding> {
        let entries = self.by_name.into_iter();
        entries.map(|(name, (message, count))| Finding { name, message, count }).collect()
    }
}
