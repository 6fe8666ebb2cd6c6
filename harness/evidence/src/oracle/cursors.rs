//! What became of each cursor that a client sent, and of each snapshot that it took: the facts that
//! `stale_not_signalled`, `false_stale`, `wrong_reason` and `bad_snapshot` judge.
//!
//! A refusal's own figures are judged as it comes. What needs the target's windows waits for the
//! merge, for they are recorded elsewhere: one fact a cursor. Memory: [`FACTS_MAX`] cursors and
//! [`SNAPSHOTS_MAX`] snapshots a client; those beyond are undecided.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::tally::{Tally, Violation};
use super::windows::Timelines;
use super::{bad_snapshot, false_stale, stale_not_signalled, wrong_reason};
use crate::record::{Micros, StaleReason, StaleTopic, SubscribedTopic, Tier};

/// Cursors of a client that wait for the windows: some 8 KiB.
pub const FACTS_MAX: usize = 128;
/// Snapshots of a client that wait for the windows.
pub const SNAPSHOTS_MAX: usize = 32;

/// What became of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Accepted.
    Accepted {
        /// Where the ok reply says the socket stands.
        watermark: Option<u64>,
    },
    /// Refused as stale.
    Refused {
        /// For this reason.
        reason: StaleReason,
        /// With these figures.
        #[serde(default)]
        figures: Figures,
        /// The refusal's own figures already proved it wrong.
        false_by_figures: bool,
        /// The refusal's own figures already proved its reason wrong.
        wrong_by_figures: bool,
    },
    /// In a list that was refused for another topic.
    RefusedForAnother,
}

/// What a refusal says of its topic, and metrics say too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Floor.
    pub floor: Option<u64>,
    /// Head.
    pub head: Option<u64>,
    /// Replay budget, in events.
    pub budget: Option<u64>,
    /// Tier of service.
    pub tier: Option<Tier>,
}

impl Figures {
    fn of(said: &StaleTopic) -> Self {
        let StaleTopic { floor, head, budget, tier, .. } = *said;
        Self { floor, head, budget, tier }
    }
}

impl Answer {
    /// A refusal, judged by its own figures.
    fn refused(case: &Case<'_>, said: &StaleTopic, tally: &mut Tally) -> Self {
        Self::Refused {
            reason: said.reason,
            figures: Figures::of(said),
            false_by_figures: false_stale::judge_figures(case, said, tally),
            wrong_by_figures: wrong_reason::judge_figures(case, said, tally),
        }
    }
}

/// A cursor that was sent, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// The topic.
    pub topic: TopicId,
    /// The epoch.
    pub epoch: u32,
    /// When it was sent.
    pub sent_at: Micros,
    /// When the reply came.
    pub at: Micros,
    /// The cursor.
    pub cursor: u64,
    /// What became of it.
    pub answer: Answer,
    /// The snapshot that it came from, as an index of the client's.
    pub snapshot: Option<u16>,
}

/// A snapshot that a client took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The topic.
    pub topic: TopicId,
    /// When it was asked for.
    pub start: Micros,
    /// When it was there.
    pub done: Micros,
    /// Its watermark.
    pub head: u64,
    /// What the target had said of the topic before.
    pub said: Said,
    /// Whether a subscribe with its watermark was accepted.
    pub accepted: bool,
}

/// What refusals said of a topic: floor and head only rise, so both are lower bounds later on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Highest floor.
    pub floor: u64,
    /// Highest head.
    pub head: u64,
    /// Largest budget, where one was named.
    pub budget: Option<u64>,
}

impl Said {
    fn add(&mut self, said: &StaleTopic) {
        self.floor = self.floor.max(said.floor.unwrap_or_default());
        self.head = self.head.max(said.head.unwrap_or_default());
        self.budget = self.budget.max(said.budget);
    }
}

/// A subscribe without an answer yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The epoch.
    pub epoch: u32,
    /// When it was sent.
    pub sent_at: Micros,
    /// Its topics.
    pub topics: Vec<SubscribedTopic>,
    /// Whether a refusal came, and whether a fault had planned all of it.
    pub planned_refusal: Option<bool>,
}

impl Pending {
    /// Whether a refusal as stale is what a fault wanted: as it was said or, before that, as it was
    /// sent.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        self.planned_refusal.unwrap_or_else(|| self.topics.iter().any(|topic| topic.by_fault))
    }
}

/// The cursors and snapshots of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursors {
    /// The last subscribe.
    pub pending: Pending,
    facts: Vec<Fact>,
    snapshots: Vec<Snapshot>,
    /// The snapshot that each topic resumes from next.
    resumes: BTreeMap<TopicId, u16>,
    said: BTreeMap<TopicId, Said>,
    accepted_beyond: u64,
    refused_beyond: u64,
    snapshots_beyond: u64,
}

/// A fact with whose it is: what the rules judge.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The client.
    pub client: u32,
    /// The fact.
    pub fact: &'a Fact,
}

impl Case<'_> {
    /// A breach by this case.
    #[must_use]
    pub fn violation(&self, rule: Rule, message: String) -> Violation {
        Violation {
            at_us: self.fact.at,
            rule,
            client: Some(self.client),
            topic: Some(self.fact.topic),
            seqs: Some((self.fact.cursor, self.fact.cursor)),
            epoch: Some(self.fact.epoch),
            message,
        }
    }
}

impl Cursors {
    /// A subscribe was sent.
    pub fn sent(&mut self, epoch: u32, sent_at: Micros, topics: &[SubscribedTopic]) {
        let topics = topics.to_vec();
        self.pending = Pending { epoch, sent_at, topics, planned_refusal: None };
    }

    /// The last subscribe was accepted.
    pub fn accepted(&mut self, at: Micros, watermarks: &[(TopicId, u64)]) {
        let watermark =
            |topic| watermarks.iter().find(|(of, _)| *of == topic).map(|&(_, mark)| mark);
        for topic in std::mem::take(&mut self.pending.topics) {
            let snapshot = self.resumed_from(&topic);
            if let Some(snapshot) = snapshot.and_then(|i| self.snapshots.get_mut(usize::from(i))) {
                snapshot.accepted = true;
            }
            self.keep(&topic, at, Answer::Accepted { watermark: watermark(topic.topic) }, snapshot);
        }
    }

    /// The last subscribe was refused as stale. Its own figures are judged at once.
    pub fn refused(&mut self, client: u32, at: Micros, stale: &[StaleTopic], tally: &mut Tally) {
        let sent = std::mem::take(&mut self.pending.topics);
        let by_fault = |stale: &StaleTopic| {
            sent.iter().find(|topic| topic.topic == stale.topic).is_some_and(|t| t.by_fault)
        };
        self.pending.planned_refusal = Some(stale.iter().all(by_fault));
        for topic in &sent {
            let snapshot = self.resumed_from(topic);
            let listed = stale.iter().find(|stale| stale.topic == topic.topic);
            let answer =
                listed.zip(topic.cursor).map_or(Answer::RefusedForAnother, |(said, sent)| {
                    let case = self.case(topic.topic, at, sent);
                    Answer::refused(&Case { client, fact: &case }, said, tally)
                });
            self.keep(topic, at, answer, snapshot);
        }
        for said in stale {
            let cursor = sent.iter().find(|t| t.topic == said.topic).and_then(|t| t.cursor);
            if cursor.is_none() {
                let case = self.case(said.topic, at, said.cursor);
                false_stale::without_a_cursor(&Case { client, fact: &case }, tally);
            }
            self.said.entry(said.topic).or_default().add(said);
        }
    }

    /// Whether a subscribe has no answer yet.
    #[must_use]
    pub fn is_subscribing(&self) -> bool {
        !self.pending.topics.is_empty()
    }

    /// A subscription in force ended as stale on some of its topics; `subscribed`: whether it had them. What was
    /// stale then is the cursor that the target names: nobody sent one with which it could be compared. Since
    /// floors only rise, windows before the subscribe are lower bounds here too.
    pub fn ended(
        &mut self,
        client: u32,
        at: Micros,
        stale: &[StaleTopic],
        subscribed: impl Fn(TopicId) -> bool,
        tally: &mut Tally,
    ) {
        for said in stale {
            let case = self.case(said.topic, at, said.cursor);
            let case = Case { client, fact: &case };
            if !subscribed(said.topic) {
                false_stale::not_subscribed(&case, tally);
                continue;
            }
            let answer = Answer::refused(&case, said, tally);
            let cursor = Some(said.cursor);
            let topic =
                SubscribedTopic { topic: said.topic, cursor, head_seen: 0, by_fault: false };
            self.keep(&topic, at, answer, None);
            self.said.entry(said.topic).or_default().add(said);
        }
    }

    /// A snapshot was taken.
    pub fn took_snapshot(&mut self, topic: TopicId, start: Micros, done: Micros, head: u64) {
        self.resumes.remove(&topic);
        if self.snapshots.len() >= SNAPSHOTS_MAX {
            self.snapshots_beyond += 1;
            return;
        }
        let said = self.said.get(&topic).copied().unwrap_or_default();
        let index = u16::try_from(self.snapshots.len()).unwrap_or(u16::MAX);
        self.snapshots.push(Snapshot { topic, start, done, head, said, accepted: false });
        self.resumes.insert(topic, index);
    }

    /// Whether the target ever called a cursor of this topic stale, so that its log is pruned.
    #[must_use]
    pub fn was_refused(&self, topic: TopicId) -> bool {
        self.said.contains_key(&topic)
    }

    /// Up to which seq a refusal has told the client that nothing is left of a topic: that all of it was pruned; 0
    /// where none has.
    #[must_use]
    pub fn told_gone(&self, topic: TopicId) -> u64 {
        self.said.get(&topic).filter(|said| said.floor >= said.head).map_or(0, |said| said.floor)
    }

    /// When the snapshot that a topic resumes from next was there, if its watermark is `cursor`.
    #[must_use]
    pub fn snapshot_done(&self, topic: TopicId, cursor: u64) -> Option<Micros> {
        let snapshot = self.snapshots.get(usize::from(*self.resumes.get(&topic)?))?;
        (snapshot.head == cursor).then_some(snapshot.done)
    }

    fn resumed_from(&mut self, topic: &SubscribedTopic) -> Option<u16> {
        let index = self.resumes.remove(&topic.topic)?;
        let snapshot = self.snapshots.get(usize::from(index))?;
        (topic.cursor == Some(snapshot.head)).then_some(index)
    }

    fn case(&self, topic: TopicId, at: Micros, cursor: u64) -> Fact {
        let Pending { epoch, sent_at, .. } = self.pending;
        Fact {
            topic,
            epoch,
            sent_at,
            at,
            cursor,
            answer: Answer::RefusedForAnother,
            snapshot: None,
        }
    }

    fn keep(&mut self, topic: &SubscribedTopic, at: Micros, answer: Answer, snapshot: Option<u16>) {
        let Some(cursor) = topic.cursor else { return };
        if self.facts.len() < FACTS_MAX {
            let fact = self.case(topic.topic, at, cursor);
            self.facts.push(Fact { answer, snapshot, ..fact });
        } else if matches!(answer, Answer::Refused { .. }) {
            self.refused_beyond += 1;
        } else {
            self.accepted_beyond += 1;
        }
    }

    /// Judges all facts, with every window of the run. What a refusal says may be as old as the settle bound.
    pub fn settle(
        &self,
        client: u32,
        timelines: &Timelines,
        settle_within: Duration,
        tally: &mut Tally,
    ) {
        let settle_us = Micros::try_from(settle_within.as_micros()).unwrap_or(Micros::MAX);
        for fact in &self.facts {
            let case = Case { client, fact };
            let bounds = timelines.bounds(fact.topic, fact.sent_at, fact.at);
            let snapshot = fact.snapshot.and_then(|index| self.snapshots.get(usize::from(index)));
            if let Some(bounds) = &bounds {
                stale_not_signalled::judge(&case, bounds, tally);
                // A refusal of what a snapshot said is the snapshot's case, while it is open.
                false_stale::judge(&case, bounds, snapshot.is_some(), tally);
                let since = fact.sent_at.saturating_sub(settle_us);
                let shown = wrong_reason::Shown {
                    bounds: timelines.bounds(fact.topic, since, fact.at).unwrap_or_default(),
                    tier: timelines.tier(fact.topic),
                };
                wrong_reason::judge(&case, bounds, &shown, tally);
            }
            if let (Some(snapshot), Answer::Refused { false_by_figures, .. }) =
                (snapshot, fact.answer)
            {
                let fresh = bounds.is_some_and(|bounds| bounds.must_be_fresh(fact.cursor));
                let excused = false_by_figures || fresh;
                bad_snapshot::refused_again(snapshot, excused, timelines, tally);
            }
        }
        for snapshot in &self.snapshots {
            bad_snapshot::judge(client, snapshot, timelines, tally);
        }
        if !timelines.is_empty() {
            tally.undecided_cases(Rule::StaleNotSignalled, self.accepted_beyond);
            tally.undecided_cases(Rule::FalseStale, self.refused_beyond);
            tally.undecided_cases(Rule::BadSnapshot, self.snapshots_beyond);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
