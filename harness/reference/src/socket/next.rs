//! What a subscribed topic is sent next.

use std::sync::Arc;

use khala_wire::payload::Update;
use khala_wire::topic::TopicId;
use tokio::time::Instant;

use super::bend::Whose;
use super::tail::Tail;
use crate::fanout::{Batch, BatchKey};
use crate::shared::Shared;
use crate::store::Range;

/// Whether a subscribe is being served, or the live tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batches before the subscribe's reply.
    Replay,
    /// Everything after it.
    Live,
}

/// The next thing to do for a topic.
pub enum Next {
    /// Nothing until the head advances or a time comes.
    Nothing,
    /// Retention has pruned what comes next.
    Overrun,
    /// Nothing is sent, but the position moves (a defect swallowed it).
    Skip {
        /// The new position.
        to: u64,
    },
    /// A batch.
    Send {
        /// The batch.
        batch: Arc<Batch>,
        /// The new position.
        to: u64,
    },
}

/// One topic of one connection, at one instant.
pub struct Asking<'a> {
    /// The server.
    pub shared: &'a Shared,
    /// The connection's number.
    pub number: u64,
    /// The channel's choices so far.
    pub choices: &'a mut u64,
    /// The topic.
    pub topic: TopicId,
    /// Its position.
    pub tail: &'a mut Tail,
    /// Now.
    pub now: Instant,
}

impl Asking<'_> {
    /// What to send next, in batches of up to `count`.
    pub fn next(self, count: u64, mode: Mode) -> Next {
        // A pause that is over must not stay: the connection's timer would find it due for ever.
        self.tail.paused_until = self.tail.paused_until.filter(|until| *until > self.now);
        let log = self.shared.store.log(self.topic);
        let paused = mode == Mode::Live && self.tail.paused_until.is_some();
        if paused || log.head() <= self.tail.sent {
            return Next::Nothing;
        }
        match log.range(self.tail.sent, count, self.shared.config.batch_bytes_max) {
            Range::CaughtUp => Next::Nothing,
            Range::Overrun => Next::Overrun,
            Range::Ready { first, to, head } => {
                let key = BatchKey { topic: self.topic, first, to, head };
                self.batch(key, mode)
            }
        }
    }

    fn batch(mut self, mut key: BatchKey, mode: Mode) -> Next {
        if mode == Mode::Live && self.loses() {
            return Next::Skip { to: key.to };
        }
        let Some(bend) = self.bend(&mut key, mode) else { return Next::Nothing };
        if bend.straight()
            && let Some(batch) = self.shared.batches.get(&key)
        {
            return Next::Send { batch, to: key.to };
        }
        let log = self.shared.store.log(key.topic);
        let Some(entries) = log.entries(key.first, key.to) else { return Next::Overrun };
        let updates = entries.iter().map(|entry| &entry.update);
        if bend.straight() {
            let batch = Batch::encode(&key, &updates.collect::<Vec<_>>(), None);
            return Next::Send { batch: self.shared.batches.insert(key, batch), to: key.to };
        }
        self.tail.drop_next &= !bend.drop_first;
        let (defects, number) = (&self.shared.defects, self.number);
        let whose = Whose { defects, log, number, from: self.tail.from, sent: self.tail.sent };
        let updates = bend.apply(updates.cloned().collect(), &whose);
        if updates.is_empty() {
            return Next::Skip { to: key.to };
        }
        let apart = bend.apart(&updates, defects);
        let apart = apart.as_ref().map(|apart| apart.iter().collect::<Vec<&Update>>());
        let batch = Batch::encode(&key, &updates.iter().collect::<Vec<_>>(), apart.as_deref());
        Next::Send { batch: Arc::new(batch), to: key.to }
    }
}
