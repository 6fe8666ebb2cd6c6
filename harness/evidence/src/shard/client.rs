//! One client's life as the judge sees it: offline, connected, converged; cut off and recovered.
//!
//! Derived from records alone; shares nothing with the engine's client machine.

use std::collections::{BTreeMap, BTreeSet};

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::exposure::Marks;
use super::flight::{Flight, Story};
use super::incidents::Hit;
use super::stability::Blame;
use crate::oracle::after_unsubscribe::Away;
use crate::oracle::authz_leak::Revoked;
use crate::oracle::baseline::Baseline;
use crate::oracle::cursors::Cursors;
use crate::oracle::heads_told::HeadsTold;
use crate::oracle::late_publish::Together;
use crate::oracle::slow::Slow;
use crate::oracle::starved_topic::Drain;
use crate::oracle::track::Track;
use crate::pairs;
use crate::record::{Held, Micros, SubscribedTopic};

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

fn is_zero(count: &u16) -> bool {
    *count == 0
}

/// One client's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// What it got, by topic.
    pub tracks: BTreeMap<TopicId, Track>,
    /// Versions it has of our documents, by state topic and worker.
    #[serde(with = "pairs")]
    pub versions: BTreeMap<(TopicId, u16), u64>,
    /// Versions it has of documents of others, by state topic and key.
    #[serde(default, with = "pairs", skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<(TopicId, u64), u64>,
    /// Where the target said that its topics stand, and it was not yet.
    #[serde(default, skip_serializing_if = "HeadsTold::is_empty")]
    pub heads_told: HeadsTold,
    /// What the snapshot holds of our documents that a topic resumes from next.
    #[serde(default)]
    pub fetched: BTreeMap<TopicId, Vec<Held>>,
    /// Versions that came with the snapshots from which it resumed.
    #[serde(default, with = "pairs")]
    pub held: BTreeMap<(TopicId, u16), u64>,
    /// What it counts as known of a state topic without a delivery.
    pub baselines: BTreeMap<TopicId, Baseline>,
    /// Topics of which a subscribe was answered on the socket that it has.
    #[serde(default)]
    pub answered: BTreeSet<TopicId>,
    /// What became of its cursors and snapshots.
    pub cursors: Cursors,
    /// Events that came together with their successors.
    pub together: Together,
    /// When it had left topics, and nothing came.
    #[serde(default)]
    pub aways: Vec<Away>,
    /// How its topics were drained.
    pub drain: Drain,
    /// When the harness made it slow.
    pub slow: Slow,
    /// The revocation of the session whose socket it has.
    pub revoked: Option<Revoked>,
    /// Deliveries around faults.
    pub marks: Marks,
    /// Of the faults that are aimed at it, those that were due so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub faults_due: u16,
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
    /// What a planned fault did to it, from which it has not recovered.
    pub hit: Option<Hit>,
    /// When it got the socket, or the channel on it, that it has.
    pub opened_at: Option<Micros>,
    /// When it last did what keeps its channel alive, as far as it was answered.
    pub kept_alive_at: Option<Micros>,
    /// Whether the target has taken it in on the session that it has.
    #[serde(default)]
    pub taken_in: bool,
    /// Whether it has joined before.
    pub joined: bool,
    /// Whose doing the last end of its socket or channel was, if there was one.
    pub ended_by: Option<Blame>,
    /// From when to when it had waited, if that was for want of an answer in time.
    #[serde(default)]
    pub waited: Option<(Micros, Micros)>,
    /// Since when it had asked, if its last request had no answer in time.
    #[serde(default)]
    pub timed_out_since: Option<Micros>,
    /// When its last request was refused for who asks, or for what build, if it was: a client does not ask again.
    #[serde(default)]
    pub turned_away: Option<Micros>,
    /// Connects begun since it was last converged.
    pub attempts: u32,
    /// Whether it has connected before.
    pub seen_before: bool,
    /// When the harness took it out of the run.
    pub retired_at: Option<Micros>,
    /// Its last frames, and what last befell it.
    pub flight: Flight,
    /// The same as it was when something first seemed to be missing.
    pub suspicion: Option<Box<Story>>,
    /// Whether its story was kept: a rule was broken for it before.
    pub told: bool,
}

impl Client {
    /// A subscribe was sent with these targets.
    pub fn subscribing(&mut self, sent_at: Micros, topics: &[SubscribedTopic]) {
        self.subscription = Some(Subscription {
            sent_at,
            resumed: topics.iter().any(|topic| topic.cursor.is_some()),
            answered_at: None,
            targets: topics.iter().map(|topic| (topic.topic, topic.head_seen)).collect(),
        });
    }

    /// A subscribe begins a topic again; what the client then counts as known without a delivery.
    pub fn rebase(&mut self, at: Micros, subscribed: &SubscribedTopic) {
        let SubscribedTopic { topic, cursor, .. } = *subscribed;
        let last = self.tracks.get(&topic).and_then(|track| track.last_applied);
        let fetched = self.fetched.remove(&topic).unwrap_or_default();
        let snapshot = cursor.and_then(|cursor| self.cursors.snapshot_done(topic, cursor));
        for document in fetched.iter().filter(|_| snapshot.is_some()) {
            let held = self.held.entry((topic, document.worker)).or_default();
            *held = document.version.max(*held);
        }
        let old = self.baselines.get(&topic);
        let known = last.max(old.and_then(|old| old.cursor)).unwrap_or_default();
        let before = match cursor {
            Some(cursor) if cursor <= known => return,
            Some(_) => snapshot.unwrap_or(at),
            None => at,
        };
        let baseline = Baseline {
            cursor: cursor.max(old.and_then(|old| old.cursor)),
            before: before.max(old.map_or(0, |old| old.before)),
            reset: old.is_some_and(|old| old.reset)
                || cursor.is_none() && self.cursors.was_refused(topic),
            whole: snapshot.is_some(),
            replayed_by: None,
        };
        self.baselines.insert(topic, baseline);
    }

    /// Its story if a rule is broken for it now: from when it first seemed so.
    #[must_use]
    pub fn story(&self, at_us: Micros) -> Story {
        match &self.suspicion {
            Some(story) => Story::clone(story),
            None => Story { at_us, flight: self.flight.clone() },
        }
    }

    /// Whether it must have got everything by the end of the run: live, and not kept from reading.
    #[must_use]
    pub fn is_witness(&self) -> bool {
        self.live_since.is_some() && !self.slow.is_slow()
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
