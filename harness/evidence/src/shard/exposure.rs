//! Whether a storm can be judged: each client needs deliveries on each topic before and after it.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the clients that a fault cut off had received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exposure {
    /// (client, topic) pairs cut off.
    pub pairs: u64,
    /// Fewest deliveries of a pair before the cut.
    pub before_min: u64,
    /// Fewest deliveries of a pair after it, once live again.
    pub after_min: u64,
    /// Pairs with too few before or after.
    pub short: u64,
    /// Pairs whose client was never live again: that nothing came to it is no lack of load.
    #[serde(default)]
    pub lost: u64,
    /// What came to those that were live again, by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub after: BTreeMap<TopicId, After>,
}

/// What came on a topic to clients that were live again after a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct After {
    /// Clients that were live again.
    pub back: u64,
    /// Of these, clients to which something new came.
    pub reached: u64,
}

impl Default for Exposure {
    fn default() -> Self {
        let (before_min, after_min) = (u64::MAX, u64::MAX);
        Self { pairs: 0, before_min, after_min, short: 0, lost: 0, after: BTreeMap::new() }
    }
}

impl Exposure {
    /// Enters a pair. `back`: whether its client was live again.
    fn enter(&mut self, topic: TopicId, mark: Mark, back: bool, needed: u32) {
        let Mark { before, now: after } = mark;
        self.pairs += 1;
        self.before_min = self.before_min.min(before);
        self.lost += u64::from(!back);
        let fewest = if back {
            self.after_min = self.after_min.min(after);
            let came = self.after.entry(topic).or_default();
            came.back += 1;
            came.reached += u64::from(after > 0);
            before.min(after)
        } else {
            before
        };
        self.short += u64::from(fewest < u64::from(needed));
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.pairs += other.pairs;
        self.before_min = self.before_min.min(other.before_min);
        self.after_min = self.after_min.min(other.after_min);
        self.short += other.short;
        self.lost += other.lost;
        for (&topic, theirs) in &other.after {
            let ours = self.after.entry(topic).or_default();
            ours.back += theirs.back;
            ours.reached += theirs.reached;
        }
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

    /// A fault cut the client off. `back`: whether it was live again after the last one.
    pub fn cut(
        &mut self,
        fault: u16,
        back: bool,
        needed: u32,
        exposures: &mut BTreeMap<u16, Exposure>,
    ) {
        // One that ends a second socket before the client has recovered from the first is one cut.
        if self.fault == Some(fault) {
            return;
        }
        self.settle(back, needed, exposures);
        self.fault = Some(fault);
        for mark in self.topics.values_mut() {
            *mark = Mark { before: mark.now, now: 0 };
        }
    }

    /// Enters the counts of the last cut, if there was one. `back`: whether the client was live after it.
    pub fn settle(&self, back: bool, needed: u32, exposures: &mut BTreeMap<u16, Exposure>) {
        let Some(fault) = self.fault else { return };
        let exposure = exposures.entry(fault).or_default();
        for (&topic, &mark) in &self.topics {
            exposure.enter(topic, mark, back, needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a client that had `before` deliveries, was cut off, and had `after` more.
    fn of(before: u64, after: u64, back: bool) -> Exposure {
        let (mut marks, mut exposures) = (Marks::default(), BTreeMap::new());
        let topic = TopicId::WORKER_EVENTS;
        marks.subscribed(topic);
        (0..before).for_each(|_| marks.delivered(topic));
        marks.cut(4, true, 3, &mut exposures);
        (0..after).for_each(|_| marks.delivered(topic));
        marks.settle(back, 3, &mut exposures);
        exposures[&4].clone()
    }

    #[test]
    fn too_few_before_or_after_are_short() {
        for (before, after, short) in [(3, 3, 0), (2, 3, 1), (3, 2, 1)] {
            let exposure = of(before, after, true);
            assert_eq!((exposure.pairs, exposure.short, exposure.lost), (1, short, 0));
            assert_eq!((exposure.before_min, exposure.after_min), (before, after));
            let mut twice = exposure.clone();
            twice.merge(&exposure);
            let came = twice.after[&TopicId::WORKER_EVENTS];
            assert_eq!(came, After { back: 2, reached: 2 });
        }
    }

    #[test]
    fn one_that_never_came_back_lacks_nothing_after_the_cut() {
        for (before, short) in [(3, 0), (2, 1)] {
            let exposure = of(before, 0, false);
            assert_eq!((exposure.pairs, exposure.short, exposure.lost), (1, short, 1));
            assert_eq!(exposure.after_min, u64::MAX);
            assert_eq!(exposure.after, BTreeMap::new());
        }
    }

    #[test]
    fn to_whom_nothing_came_after_its_return_is_back_and_not_reached() {
        let came = of(3, 0, true).after[&TopicId::WORKER_EVENTS];
        assert_eq!(came, After { back: 1, reached: 0 });
    }
}
