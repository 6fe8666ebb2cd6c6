//! Whether a storm can be judged: each client needs deliveries on each topic before and after it.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

/// What the clients that a fault cut off had received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// (client, topic) pairs cut off.
    pub pairs: u64,
    /// Fewest deliveries of a pair before the cut.
    pub before_min: u64,
    /// Fewest deliveries of a pair after it, once live again.
    pub after_min: u64,
    /// Pairs with too few before or after.
    pub short: u64,
}

impl Default for Exposure {
    fn default() -> Self {
        Self { pairs: 0, before_min: u64::MAX, after_min: u64::MAX, short: 0 }
    }
}

impl Exposure {
    /// Enters a pair.
    pub fn enter(&mut self, before: u64, after: u64, needed: u32) {
        self.pairs += 1;
        self.before_min = self.before_min.min(before);
        self.after_min = self.after_min.min(after);
        self.short += u64::from(before.min(after) < u64::from(needed));
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.before_min = self.before_min.min(other.before_min);
        self.after_min = self.after_min.min(other.after_min);
        self.short += other.short;
    }
}

/// One client's counts around the last fault that cut it off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    fault: Option<u16>,
    topics: BTreeMap<TopicId, Mark>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    before: u64,
    now: u64,
}

impl Marks {
    /// A topic that the client has subscribed to: it counts even if nothing ever comes.
    pub fn subscribed(&mut self, topic: TopicId) {
        self.topics.entry(topic).or_default();
    }

    /// A fresh delivery to the live client.
    pub fn delivered(&mut self, topic: TopicId) {
        self.topics.entry(topic).or_default().now += 1;
    }

    /// A fault cut the client off.
    pub fn cut(&mut self, fault: u16, needed: u32, exposures: &mut BTreeMap<u16, Exposure>) {
        // One that ends a second socket before the client has recovered from the first is one cut.
        if self.fault == Some(fault) {
            return;
        }
        self.settle(needed, exposures);
        self.fault = Some(fault);
        for mark in self.topics.values_mut() {
            *mark = Mark { before: mark.now, now: 0 };
        }
    }

    /// Enters the counts of the last cut, if there was one.
    pub fn settle(&self, needed: u32, exposures: &mut BTreeMap<u16, Exposure>) {
        let Some(fault) = self.fault else { return };
        let exposure = exposures.entry(fault).or_default();
        for mark in self.topics.values() {
            exposure.enter(mark.before, mark.now, needed);
        }
    }
}
