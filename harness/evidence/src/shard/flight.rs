//! The flight recorder: a client's last frames and what last befell it, kept when a rule is broken.
//!
//! Bounded for each client. Of the clients whose rules were broken, the story of the earliest is kept;
//! every client's last frames are in the journal when the run ends.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::record::{Micros, OpKind, Outcome, Record};

/// Frames remembered of a client.
const FRAMES_MAX: usize = 16;
/// Happenings remembered of a client.
const HAPPENINGS_MAX: usize = 24;
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

/// What a client's recorder holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    /// The last frames, the oldest first.
    pub frames: VecDeque<Frame>,
    /// What last befell it, but for deliveries and heartbeats that were answered.
    pub happenings: VecDeque<Record>,
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

fn push<T>(ring: &mut VecDeque<T>, item: T, max: usize) {
    if ring.len() >= max {
        ring.pop_front();
    }
    ring.push_back(item);
}

impl Flight {
    /// Remembers a frame.
    pub fn frame(&mut self, frame: Frame) {
        push(&mut self.frames, frame, FRAMES_MAX);
    }

    /// Remembers a record, if it is one that tells of the client's life.
    pub fn happened(&mut self, record: &Record) {
        let tells = match record {
            Record::Op(op) => (op.kind, op.outcome) != (OpKind::Heartbeat, Outcome::Ok),
            // What it got for it is told by the operation.
            Record::Answered(answered) => answered.outcome != Outcome::Ok,
            Record::Delivered(_) | Record::PushesCompared { .. } | Record::Frame { .. } => false,
            _ => true,
        };
        if tells {
            push(&mut self.happenings, record.clone(), HAPPENINGS_MAX);
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
