//! One client's life as the judge sees it: offline, connected, converged; cut off and recovered.
//!
//! Derived from records alone; shares nothing with the engine's client machine.

use std::collections::BTreeMap;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::exposure::Marks;
use crate::oracle::track::Track;
use crate::pairs;
use crate::record::Micros;

/// A planned cut that the client has not recovered from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The fault.
    pub fault: u16,
    /// When the plan wanted it.
    pub intended: Micros,
    /// When it happened.
    pub at: Micros,
}

/// What the client's subscription still owes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Subscription {
    /// When it was sent.
    pub sent_at: Micros,
    /// Whether any topic had a cursor.
    pub resumed: bool,
    /// When the ok reply came.
    pub answered_at: Option<Micros>,
    /// Seqs that must be reached.
    targets: BTreeMap<TopicId, u64>,
}

/// One client's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// What it got, by topic.
    pub tracks: BTreeMap<TopicId, Track>,
    /// Versions it has of our documents, by state topic and worker.
    #[serde(with = "pairs")]
    pub versions: BTreeMap<(TopicId, u16), u64>,
    /// Deliveries around faults.
    pub marks: Marks,
    /// The subscription in force.
    pub subscription: Option<Subscription>,
    /// Intended start of the first connect since it was last converged.
    pub connecting_since: Option<Micros>,
    /// When it first got a socket since it was last converged or cut off.
    pub unconverged_since: Option<Micros>,
    /// Since when replay is complete and head reached.
    pub live_since: Option<Micros>,
    /// The cut it has not recovered from.
    pub cut: Option<Cut>,
    /// Connects begun since it was last converged.
    pub attempts: u32,
    /// Whether it has connected before.
    pub seen_before: bool,
    /// When the harness took it out of the run.
    pub retired_at: Option<Micros>,
}

impl Client {
    /// A subscribe was sent with these targets.
    pub fn subscribing(&mut self, sent_at: Micros, topics: &[crate::record::SubscribedTopic]) {
        self.subscription = Some(Subscription {
            sent_at,
            resumed: topics.iter().any(|topic| topic.cursor.is_some()),
            answered_at: None,
            targets: topics.iter().map(|topic| (topic.topic, topic.head_seen)).collect(),
        });
    }

    /// Whether the client is now live and was not: replay complete, and every target reached.
    #[must_use]
    pub fn has_converged(&self) -> bool {
        self.live_since.is_none()
            && self.subscription.as_ref().is_some_and(|subscription| {
                subscription.answered_at.is_some()
                    && subscription.targets.iter().all(|(topic, &target)| {
                        self.tracks
                            .get(topic)
                            .is_some_and(|track| track.highest.unwrap_or_default() >= target)
                    })
            })
    }
}
