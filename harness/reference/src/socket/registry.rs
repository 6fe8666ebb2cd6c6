//! The open sockets: who they are, and how far each has been sent.
//!
//! A connection writes its own entry with plain stores; whoever wants to know reads it. Nothing is
//! sent to a connection through here but one word: revoked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use khala_wire::topic::TopicId;

use super::upgrade::Principal;
use crate::config::TOPICS;
use crate::revocation::Id;
use crate::store::TopicLog;
use crate::sync::lock;

/// Stands for a topic that is not subscribed.
const UNSUBSCRIBED: u64 = u64::MAX;

/// One open socket.
pub struct Open {
    /// Number of the connection, from 1; what defects choose by.
    pub number: u64,
    session: String,
    device: String,
    joined: AtomicBool,
    revoked: OnceLock<String>,
    sent: [AtomicU64; TOPICS],
}

impl Open {
    /// Notes whether a channel is joined; without one, nothing is subscribed.
    pub fn set_joined(&self, joined: bool) {
        self.joined.store(joined, Ordering::Relaxed);
        if !joined {
            for sent in &self.sent {
                sent.store(UNSUBSCRIBED, Ordering::Relaxed);
            }
        }
    }

    /// Notes how far a topic has been sent; `None` when it is not subscribed.
    pub fn set_sent(&self, topic: TopicId, sent: Option<u64>) {
        self.sent[topic.index()].store(sent.unwrap_or(UNSUBSCRIBED), Ordering::Relaxed);
    }

    /// Why it was revoked, if it was.
    pub fn revoked(&self) -> Option<&str> {
        self.revoked.get().map(String::as_str)
    }
}

/// All open sockets.
#[derive(Default)]
pub struct Sockets {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Open>>>,
}

/// What operators see of all consumers.
pub struct Summary {
    /// Sockets with a joined channel.
    pub joined: u64,
    /// Per topic, events waiting for the consumer that is furthest behind.
    pub deepest: [u64; TOPICS],
}

impl Sockets {
    /// Enters a socket; it leaves when the guard is dropped.
    pub fn enter(self: &Sockets, principal: &Principal) -> Arc<Open> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let open = Arc::new(Open {
            number,
            session: principal.session.clone(),
            device: principal.device.clone(),
            joined: AtomicBool::new(false),
            revoked: OnceLock::new(),
            sent: std::array::from_fn(|_| AtomicU64::new(UNSUBSCRIBED)),
        });
        lock(&self.open).insert(number, Arc::clone(&open));
        open
    }

    /// Takes a socket out.
    pub fn leave(&self, open: &Open) {
        lock(&self.open).remove(&open.number);
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        lock(&self.open).len()
    }

    /// Marks the sockets of these sessions and devices; returns how many.
    pub fn revoke(&self, ids: &[Id], reason: &str) -> usize {
        let open = lock(&self.open);
        let of_revoked = open.values().filter(|open| {
            ids.iter().any(|id| match id {
                Id::Session(session) => *session == open.session,
                Id::Device(device) => *device == open.device,
            })
        });
        // A second revocation of the same socket finds it marked already.
        of_revoked.filter(|open| open.revoked.set(reason.to_owned()).is_ok()).count()
    }

    /// What operators see.
    pub fn summary(&self, logs: &[TopicLog]) -> Summary {
        let open = lock(&self.open);
        let mut summary = Summary { joined: 0, deepest: [0; TOPICS] };
        for socket in open.values() {
            summary.joined += u64::from(socket.joined.load(Ordering::Relaxed));
            for ((sent, log), deepest) in socket.sent.iter().zip(logs).zip(&mut summary.deepest) {
                let waiting = log.head().saturating_sub(sent.load(Ordering::Relaxed));
                *deepest = waiting.max(*deepest);
            }
        }
        summary
    }
}
