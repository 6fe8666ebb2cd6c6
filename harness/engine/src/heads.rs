//! What any client of the run has seen: heads of the topics, and which publishes came out.
//!
//! The only state that worker threads share while clients run. Written through only when a thread
//! sees something new to it, so a delivery costs a thread-local comparison and no more.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use khala_wire::topic::{KNOWN, TopicId};

/// The shared part.
#[derive(Debug)]
pub struct Heads {
    seqs: [AtomicU64; KNOWN.len()],
    publishes: Vec<AtomicU64>,
    /// What proves faults without the target's metrics, by the number of the fault.
    answered: Vec<AtomicU64>,
    orders_dropped: Vec<AtomicU64>,
    stale: AtomicU64,
    told_off: AtomicU64,
    versions: Vec<Version>,
    /// Up to where clients are waited for at the end, where others write on.
    due: OnceLock<[u64; KNOWN.len()]>,
}

/// The latest version of one worker's document.
#[derive(Debug, Default)]
struct Version {
    acknowledged: AtomicU64,
    seen: AtomicU64,
}

impl Heads {
    /// Nothing seen yet, of so many planned publishes and faults.
    #[must_use]
    pub fn new(publishes: usize, faults: usize) -> Self {
        Self {
            seqs: std::array::from_fn(|_| AtomicU64::new(0)),
            publishes: (0..publishes.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            answered: (0..faults).map(|_| AtomicU64::new(0)).collect(),
            orders_dropped: (0..faults).map(|_| AtomicU64::new(0)).collect(),
            stale: AtomicU64::new(0),
            told_off: AtomicU64::new(0),
            versions: Vec::new(),
            due: OnceLock::new(),
        }
    }

    /// With the documents of so many workers.
    #[must_use]
    pub fn with_workers(mut self, workers: usize) -> Self {
        self.versions.resize_with(workers, Version::default);
        self
    }

    /// A command that makes a version of a worker's document was acknowledged.
    pub fn acknowledged_version(&self, worker: u16, version: u64) {
        if let Some(known) = self.versions.get(usize::from(worker)) {
            known.acknowledged.fetch_max(version, Ordering::Relaxed);
        }
    }

    /// A client was sent a version of a worker's document.
    pub fn saw_version(&self, worker: u16, version: u64) {
        if let Some(known) = self.versions.get(usize::from(worker))
            // Hardly ever new to all, and then nothing is written.
            && known.seen.load(Ordering::Relaxed) < version
        {
            known.seen.fetch_max(version, Ordering::Relaxed);
        }
    }

    /// Whether some client has seen the last acknowledged version of each document, or a later one.
    #[must_use]
    pub fn versions_are_seen(&self) -> bool {
        self.versions.iter().all(|known| {
            known.seen.load(Ordering::Relaxed) >= known.acknowledged.load(Ordering::Relaxed)
        })
    }

    /// Highest seq of a topic that any client has seen.
    #[must_use]
    pub fn seq(&self, topic: TopicId) -> u64 {
        self.seqs[topic.index()].load(Ordering::Relaxed)
    }

    /// What has been seen by now is what every client must get; what comes later is nobody's debt.
    pub fn call_due(&self) {
        let _ = self.due.set(std::array::from_fn(|n| self.seqs[n].load(Ordering::Relaxed)));
    }

    /// The seq of a topic that a client must have applied to be behind nobody.
    #[must_use]
    pub fn due(&self, topic: TopicId) -> u64 {
        self.due.get().map_or_else(|| self.seq(topic), |due| due[topic.index()])
    }

    /// Whether any client has seen publish `n`.
    #[must_use]
    pub fn has_seen(&self, n: u32) -> bool {
        let (word, bit) = place(n);
        self.publishes.get(word).is_some_and(|w| w.load(Ordering::Relaxed) & bit != 0)
    }

    /// What the target's answers and the clients' sockets show of a fault, so far. What it counts is the
    /// fault's own affair: see [`Fault::by_answers`](crate::fault::Fault::by_answers).
    #[must_use]
    pub fn answered(&self, fault: u16) -> u64 {
        let answered = self.answered.get(usize::from(fault));
        answered.map_or(0, |answered| answered.load(Ordering::Relaxed))
    }

    /// Stale topics that the target has named in refusals.
    #[must_use]
    pub fn stale(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// Clients that the target has told that they are evicted as too slow.
    #[must_use]
    pub fn told_off(&self) -> u64 {
        self.told_off.load(Ordering::Relaxed)
    }

    /// The target answered to a fault so many times more, or a socket shows it.
    pub fn count_answered(&self, fault: u16, times: u64) {
        if let Some(answered) = self.answered.get(usize::from(fault)) {
            answered.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// Orders of a fault that had no room beside those that waited for their client.
    #[must_use]
    pub fn orders_dropped(&self, fault: u16) -> u64 {
        let dropped = self.orders_dropped.get(usize::from(fault));
        dropped.map_or(0, |dropped| dropped.load(Ordering::Relaxed))
    }

    /// A client had no room for an order of a fault.
    pub fn count_dropped_order(&self, fault: u16) {
        if let Some(dropped) = self.orders_dropped.get(usize::from(fault)) {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Enters a seq.
    pub fn saw_seq(&self, topic: TopicId, seq: u64) {
        self.seqs[topic.index()].fetch_max(seq, Ordering::Relaxed);
    }

    /// Enters a publish.
    pub fn saw_publish(&self, n: u32) {
        let (word, bit) = place(n);
        if let Some(word) = self.publishes.get(word) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }
}

fn place(n: u32) -> (usize, u64) {
    (n as usize / 64, 1 << (n % 64))
}

/// One thread's view: knows what it has entered already.
#[derive(Debug)]
pub struct LocalHeads {
    shared: std::sync::Arc<Heads>,
    seqs: RefCell<[u64; KNOWN.len()]>,
}

impl LocalHeads {
    /// A view of the shared part.
    #[must_use]
    pub fn new(shared: std::sync::Arc<Heads>) -> Self {
        Self { shared, seqs: RefCell::new([0; KNOWN.len()]) }
    }

    /// The shared part.
    #[cfg(test)]
    pub fn shared(&self) -> &Heads {
        &self.shared
    }

    /// A delivery of `seq`, of publish `n` if it was one of ours.
    pub fn saw(&self, topic: TopicId, seq: u64, publish: Option<u32>) {
        let mut seqs = self.seqs.borrow_mut();
        let known = &mut seqs[topic.index()];
        if seq > *known {
            *known = seq;
            self.shared.saw_seq(topic, seq);
            // A publish is new to the thread exactly when its seq is.
            if let Some(n) = publish {
                self.shared.saw_publish(n);
            }
        }
    }

    /// Highest seq of a topic that any client has seen.
    #[must_use]
    pub fn seq(&self, topic: TopicId) -> u64 {
        self.shared.seq(topic)
    }

    /// The seq of a topic that a client must have applied to be behind nobody.
    #[must_use]
    pub fn due(&self, topic: TopicId) -> u64 {
        self.shared.due(topic)
    }

    /// A version of a worker's document came.
    pub fn saw_version(&self, worker: u16, version: u64) {
        self.shared.saw_version(worker, version);
    }

    /// The target answered to what a fault did for one client, or the client's socket shows it.
    pub fn count_answered(&self, fault: u16) {
        self.shared.count_answered(fault, 1);
    }

    /// A client was told that it is evicted as too slow.
    pub fn count_told_off(&self) {
        self.shared.told_off.fetch_add(1, Ordering::Relaxed);
    }

    /// A refusal named so many stale topics.
    pub fn count_stale(&self, topics: u64) {
        self.shared.stale.fetch_add(topics, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_seen_when_the_last_of_each_document_or_a_later_one_is() {
        let heads = Heads::new(0, 0).with_workers(2);
        assert!(heads.versions_are_seen(), "nothing is owed");
        heads.acknowledged_version(0, 5);
        heads.acknowledged_version(0, 4);
        heads.saw_version(0, 4);
        assert!(!heads.versions_are_seen());
        heads.saw_version(0, 6);
        heads.saw_version(0, 2);
        assert!(heads.versions_are_seen());
        heads.acknowledged_version(1, 1);
        assert!(!heads.versions_are_seen());
        heads.acknowledged_version(9, 1);
        heads.saw_version(1, 1);
        assert!(heads.versions_are_seen(), "of a worker that there is not nothing is owed");
    }

    #[test]
    fn what_is_seen_after_it_was_called_due_is_not_waited_for() {
        let heads = Heads::new(0, 0);
        let topic = TopicId::WORKER_EVENTS;
        heads.saw_seq(topic, 7);
        assert_eq!(heads.due(topic), 7);
        heads.call_due();
        heads.saw_seq(topic, 9);
        assert_eq!((heads.due(topic), heads.seq(topic)), (7, 9));
    }
}
