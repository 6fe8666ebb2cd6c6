//! Where the target says that topics stand, told once a head: of a client's life the first that names it proves most.
//!
//! What the client has been sent, and what it named as its cursor itself, tells nothing of the target.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;

/// Of each topic the highest seq that the client knows of.
#[derive(Debug, Default)]
pub(super) struct Stands(BTreeMap<TopicId, u64>);

impl Stands {
    /// A seq of a topic is known; whether it is above all that was.
    pub(super) fn rises(&mut self, topic: TopicId, seq: u64) -> bool {
        let known = self.0.entry(topic).or_default();
        let rises = seq > *known;
        *known = seq.max(*known);
        rises
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_new_when_it_is_above_all_that_is_known() {
        let mut stands = Stands::default();
        let topic = TopicId::WORKER_EVENTS;
        let rises = [3, 3, 2, 4].map(|seq| stands.rises(topic, seq));
        assert_eq!(rises, [true, false, false, true]);
        assert!(stands.rises(TopicId::NOTIFICATIONS, 1), "another topic");
    }
}
