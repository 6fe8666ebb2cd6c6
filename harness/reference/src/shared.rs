//! What every connection and every request of one server sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::Instant;

use crate::clock;
use crate::config::Config;
use crate::defect::{Defects, Kind};
use crate::fanout::BatchCache;
use crate::http::Snapshots;
use crate::metrics::Metrics;
use crate::revocation::{Revocations, Standing};
use crate::socket::{Door, Sockets, Turnstile};
use crate::store::Store;

/// State of one server.
pub struct Shared {
    /// As it was started.
    pub config: Config,
    /// Logs and authority.
    pub store: Arc<Store>,
    /// Injected defects.
    pub defects: Defects,
    /// Counters.
    pub metrics: Metrics,
    /// Open sockets.
    pub sockets: Sockets,
    /// Revoked sessions and devices.
    pub revocations: Revocations,
    /// Encoded batches.
    pub batches: BatchCache,
    /// Encoded snapshots with their heads, per topic.
    pub snapshots: Snapshots,
    /// Defect `slow_accepts`.
    pub door: Door,
    /// Defect `slow_stalls_neighbours`.
    pub turnstile: Turnstile,
    /// When it was made; defects count their periods from here.
    pub started: Instant,
    stopping: AtomicBool,
}

impl Shared {
    /// A server without data.
    pub fn new(config: Config) -> Self {
        Self {
            store: Arc::new(Store::new(&config)),
            defects: Defects::new(config.seed, &config.defects),
            metrics: Metrics::default(),
            sockets: Sockets::default(),
            revocations: Revocations::new(config.revocation_hold),
            batches: BatchCache::default(),
            snapshots: Snapshots::default(),
            door: Door::default(),
            turnstile: Turnstile::default(),
            started: clock::now(),
            stopping: AtomicBool::new(false),
            config,
        }
    }

    /// Why a principal is refused, if it was revoked.
    pub fn revoked(&self, session: &str, device: &str) -> Option<String> {
        match self.revocations.standing(session, device, clock::now()) {
            Standing::Free => None,
            Standing::Revoked(reason) => Some(reason),
            Standing::Forgotten => {
                self.defects.note(Kind::RevocationForgotten);
                None
            }
        }
    }

    /// Tells every connection to end.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.store.ring();
    }

    /// Whether the server is stopping.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
