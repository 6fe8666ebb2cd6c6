//! The flight recorder: a client's last frames and what last befell it, kept when a rule is broken.
//!
//! Bounded for each client. Of the clients whose rules were broken, the story of the earliest is kept;
//! every client's last frames are in the journal when the run ends.

use std::collections::{BTreeMap, VecDeque};

use khala_wire::topic::TopicId;
use serde::{Deserialize, Serialize};

use crate::record::{Delivery, Micros, OpKind, Outcome, Record, Source};

/// Frames remembered of a client.
const FRAMES_MAX: usize = 16;
/// Happenings remembered of a client.
const HAPPENINGS_MAX: usize = 24;
/// Updates remembered of a client.
const UPDATES_MAX: usize = 16;
/// Clients whose story is kept.
const STORIES_MAX: usize = 100;

/// A text frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Frame {
    /// When it was read, or was about to be sent.
    pub at_us: Micros,
    /// Whether the client sent it.
    pub sent: bool,
    /// Its length, in bytes.
    pub bytes: u64,
    /// Its beginning and its end.
    pub excerpt: Box<str>,
}

/// An update that was delivered, as it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// When its bytes were read: those of the frame with the same time.
    pub at_us: Micros,
    /// The topic.
    pub topic: TopicId,
    /// Its seq, which of states is the watermark.
    pub seq: u64,
    /// Number of the subscribe in the client's life.
    pub epoch: u32,
    /// Digest of key, version and payload: equal for equal content.
    pub content: u64,
    /// Whether the payload's own hash, where there is one, fits the payload.
    pub hash_fits: bool,
    /// What it stems from.
    pub source: Source,
}

/// What a client's recorder holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    /// The last frames, the oldest first.
    pub frames: VecDeque<Frame>,
    /// The last updates that it was sent, the oldest first.
    #[serde(default)]
    pub updates: VecDeque<Update>,
    /// What last befell it, but for deliveries and heartbeats that were answered.
    pub happenings: VecDeque<Record>,
    /// What came before these, and is not remembered.
    #[serde(default, skip_serializing_if = "Forgotten::is_none")]
    pub forgotten: Forgotten,
}

/// How much of each a recorder no longer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Frames.
    #[serde(default)]
    pub frames: u64,
    /// Updates.
    #[serde(default)]
    pub updates: u64,
    /// Happenings.
    #[serde(default)]
    pub happenings: u64,
}

impl Forgotten {
    /// Whether everything is there.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// A client's recorder as it was when a rule was first broken for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Story {
    /// When.
    pub at_us: Micros,
    /// What the recorder held.
    pub flight: Flight,
}

/// The stories of a run, by client.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stories(#[serde(with = "crate::pairs")] BTreeMap<u32, Story>);

fn push<T>(ring: &mut VecDeque<T>, item: T, max: usize, forgotten: &mut u64) {
    if ring.len() >= max {
        ring.pop_front();
        *forgotten += 1;
    }
    ring.push_back(item);
}

impl Flight {
    /// Remembers a frame.
    pub fn frame(&mut self, frame: Frame) {
        push(&mut self.frames, frame, FRAMES_MAX, &mut self.forgotten.frames);
    }

    /// When the last frame came from the target.
    #[must_use]
    pub fn heard_at(&self) -> Option<Micros> {
        self.frames.iter().rev().find(|frame| !frame.sent).map(|frame| frame.at_us)
    }

    /// Remembers a record, if it is one that tells of the client's life.
    pub fn happened(&mut self, record: &Record) {
        if let Record::Delivered(delivery) = record {
            let Delivery { topic, seq, epoch, content, hash_fits, source, .. } = *delivery;
            let at_us = delivery.at;
            let update = Update { at_us, topic, seq, epoch, content, hash_fits, source };
            return push(&mut self.updates, update, UPDATES_MAX, &mut self.forgotten.updates);
        }
        let tells = match record {
            Record::Op(op) => (op.kind, op.outcome) != (OpKind::Heartbeat, Outcome::Ok),
            // What it got for it is told by the operation.
            Record::Answered(answered) => answered.outcome != Outcome::Ok,
            Record::PushesCompared { agree, .. } => !agree,
            Record::Frame { .. }
            | Record::HeadsTold { .. }
            | Record::StandsAt { .. }
            | Record::LatestTold { .. } => false,
            _ => true,
        };
        if tells {
            let forgotten = &mut self.forgotten.happenings;
            push(&mut self.happenings, record.clone(), HAPPENINGS_MAX, forgotten);
        }
    }
}

impl Stories {
    /// Keeps the story of a client that has none yet.
    pub fn keep(&mut self, client: u32, story: Story) {
        self.0.insert(client, story);
        self.trim();
    }

    /// Adds another shard's, which has other clients or other times.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
        self.trim();
    }

    /// The earliest are kept, whoever came first.
    fn trim(&mut self) {
        while self.0.len() > STORIES_MAX {
            let latest = self.0.iter().max_by_key(|(client, story)| (story.at_us, **client));
            let Some(client) = latest.map(|(client, _)| *client) else { return };
            self.0.remove(&client);
        }
    }

    /// The story of a client.
    #[must_use]
    pub fn of(&self, client: u32) -> Option<&Story> {
        self.0.get(&client)
    }

    /// All of them, by client.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Story)> {
        self.0.iter().map(|(client, story)| (*client, story))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flight(frames: u64) -> Flight {
        let mut flight = Flight::default();
        for at_us in 0..frames {
            flight.frame(Frame { at_us, sent: false, bytes: 1, excerpt: "x".into() });
        }
        flight
    }

    #[test]
    fn the_last_frames_are_remembered() {
        let flight = flight(40);
        assert_eq!(flight.frames.len(), FRAMES_MAX);
        assert_eq!(flight.forgotten, Forgotten { frames: 24, ..Forgotten::default() });
        assert_eq!(flight.frames.back().map(|frame| frame.at_us), Some(39));
    }

    #[test]
    fn the_earliest_clients_are_kept_however_they_come_together() {
        let story = |at_us| Story { at_us, flight: flight(1) };
        let (mut one, mut other) = (Stories::default(), Stories::default());
        for client in 0..80 {
            one.keep(client, story(1_000 + u64::from(client)));
            other.keep(client + 80, story(2_000 - u64::from(client)));
        }
        let mut forward = one.clone();
        forward.merge(other.clone());
        other.merge(one);
        assert_eq!(forward, other);
        assert_eq!(forward.iter().count(), STORIES_MAX);
        assert!(forward.of(3).is_some() && forward.of(80).is_none());
    }
}
