//! What the threads of a null server share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Instant;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Config;
use super::log::Log;
use super::record::Sample;
use khala_reference::sync::lock;

/// Samples that are kept; what comes after is counted.
const SAMPLES_MAX: usize = 8_000_000;

/// One server.
pub struct Shared {
    /// What it does.
    pub config: Config,
    /// The events.
    pub log: RwLock<Log>,
    /// The highest sequence number, for who waits for more.
    pub head: watch::Sender<u64>,
    /// When the first event with a mark was taken.
    pub begun: watch::Sender<Option<Instant>>,
    /// Cancelled at the end.
    pub stop: CancellationToken,
    /// Heartbeats answered.
    pub heartbeats: AtomicU64,
    /// Number of the next client.
    pub next_client: AtomicU64,
    /// Samples that were not kept.
    pub dropped: AtomicU64,
    samples: Mutex<Vec<Sample>>,
    frozen: Mutex<Vec<(Instant, Instant)>>,
}

impl Shared {
    /// A server to which nothing has happened.
    pub fn new(config: Config, stop: CancellationToken) -> Self {
        Self {
            config,
            log: RwLock::default(),
            head: watch::Sender::new(0),
            begun: watch::Sender::new(None),
            stop,
            heartbeats: AtomicU64::new(0),
            next_client: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            samples: Mutex::default(),
            frozen: Mutex::default(),
        }
    }

    /// Notes deliveries that were handed to a socket.
    pub fn note(&self, delivered: &[Sample]) {
        let mut samples = lock(&self.samples);
        let room = SAMPLES_MAX.saturating_sub(samples.len()).min(delivered.len());
        samples.extend_from_slice(&delivered[..room]);
        self.dropped.fetch_add((delivered.len() - room) as u64, Ordering::Relaxed);
    }

    /// Notes a freeze.
    pub fn froze(&self, from: Instant, to: Instant) {
        lock(&self.frozen).push((from, to));
    }

    /// The deliveries so far.
    pub fn samples(&self) -> Vec<Sample> {
        lock(&self.samples).clone()
    }

    /// The freezes so far.
    pub fn frozen(&self) -> Vec<(Instant, Instant)> {
        lock(&self.frozen).clone()
    }
}
