//! Where the target says that topics stand, told once a head: of a client's life the first that names it proves most.
//!
//! What the client has been sent, and what it named as its cursor itself, tells nothing of the target.

use std::collections::{BTreeMap, VecDeque};

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

/// What the target has pushed over a channel, of each topic the highest seq, since the client last asked for the topic
/// or gave it up.
///
/// A watermark below it is wrong whether it stands for the log or for the socket, once there was time to hear of it. The
/// reply to a subscribe says where topics stood when it was asked for, and more may have been pushed since, before it. What
/// heartbeats name may be read elsewhere (a cache, a replica): they are held against what had been pushed when an earlier
/// heartbeat was sent.
#[derive(Debug, Default)]
pub(super) struct Pushed {
    highest: BTreeMap<TopicId, u64>,
    /// What it was when each of the last heartbeats was sent, the oldest first.
    at_beats: VecDeque<BTreeMap<TopicId, u64>>,
}

impl Pushed {
    /// A seq of a topic was pushed.
    pub(super) fn came(&mut self, topic: TopicId, seq: u64) {
        let highest = self.highest.entry(topic).or_default();
        *highest = seq.max(*highest);
    }

    /// A topic is asked for, or given up: where the socket stands begins anew.
    pub(super) fn forget(&mut self, topic: TopicId) {
        self.highest.remove(&topic);
        for then in &mut self.at_beats {
            then.remove(&topic);
        }
    }

    /// The client heartbeats; `grace`: how many heartbeats ago counts, at least 1.
    pub(super) fn beat(&mut self, grace: usize) {
        self.at_beats.push_back(self.highest.clone());
        while self.at_beats.len() > grace + 1 {
            self.at_beats.pop_front();
        }
    }

    /// What it was that many heartbeats before the last.
    pub(super) fn settled(&self, topic: TopicId, grace: usize) -> Option<u64> {
        let then = self.at_beats.front().filter(|_| self.at_beats.len() > grace)?;
        then.get(&topic).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pushed_settles_with_the_heartbeats_that_follow_and_is_forgotten_with_its_topic() {
        let (mut pushed, topic) = (Pushed::default(), TopicId::WORKER_EVENTS);
        let mut settled = Vec::new();
        for seq in [5, 4, 9, 12] {
            pushed.came(topic, seq);
            pushed.beat(2);
            settled.push(pushed.settled(topic, 2));
        }
        assert_eq!(settled, [None, None, Some(5), Some(5)]);
        pushed.forget(topic);
        assert_eq!(pushed.settled(topic, 2), None);
    }

    #[test]
    fn a_head_is_new_when_it_is_above_all_that_is_known() {
        let mut stands = Stands::default();
        let topic = TopicId::WORKER_EVENTS;
        let rises = [3, 3, 2, 4].map(|seq| stands.rises(topic, seq));
        assert_eq!(rises, [true, false, false, true]);
        assert!(stands.rises(TopicId::NOTIFICATIONS, 1), "another topic");
    }
}
