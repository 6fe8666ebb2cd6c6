//! What the runtime knows: the authority's documents and the topics' logs.
//!
//! Commands change it, sockets read it. Nothing in here knows of sockets; it only rings a bell.

mod authority;
mod draft;
mod journal;
mod log;
mod projection;
mod rate;
mod restore;
mod run;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use khala_wire::topic::{KNOWN, TopicId};
use tokio::sync::watch;
use tokio::time::Instant;

use authority::Authority;
pub use authority::CommandRefusal;
pub use draft::Draft;
use journal::Journal;
pub use journal::JournalError;
pub use log::{Entry, Range, TopicLog, Window};
pub use projection::project_forever;
pub use worker::{WorkerEvent, event_key};

use self::rate::Rate;
use self::run::Runs;
use crate::config::{Config, TOPICS};
use crate::sync::lock;

/// Logs, authority and bell of one server.
pub struct Store {
    logs: [TopicLog; TOPICS],
    authority: Mutex<Authority>,
    runs: Mutex<Runs>,
    rates: Mutex<[Rate; TOPICS]>,
    journal: Arc<Journal>,
    bell: watch::Sender<()>,
}

impl Store {
    /// Empty logs.
    pub fn new(config: &Config) -> Self {
        let mut topics = TopicId::all();
        let journal = Arc::new(Journal::default());
        Self {
            logs: KNOWN.map(|_| {
                let topic = topics.next().expect("as many as there are rows");
                TopicLog::new(topic, *config.limits(topic), Arc::clone(&journal))
            }),
            authority: Mutex::new(Authority::new(config.documents_max)),
            runs: Mutex::new(Runs::new(config.documents_max)),
            journal,
            rates: Mutex::default(),
            bell: watch::Sender::new(()),
        }
    }

    /// Whether something that was acknowledged could not be recorded.
    pub fn journal_failed(&self) -> bool {
        self.journal.failed()
    }

    /// Takes one publish from a topic's second, or says how long to wait.
    pub fn take_rate(&self, topic: TopicId, per_second: u32, now: Instant) -> Result<(), Duration> {
        lock(&self.rates)[topic.index()].take(per_second, now)
    }

    /// The log of a topic.
    pub fn log(&self, topic: TopicId) -> &TopicLog {
        &self.logs[topic.index()]
    }

    /// All logs, in the order of [`KNOWN`].
    pub fn logs(&self) -> &[TopicLog] {
        &self.logs
    }

    /// Wakes every connection: a head has advanced, or a flag that they read was raised.
    pub fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Something that is woken by [`Store::ring`].
    pub fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}
