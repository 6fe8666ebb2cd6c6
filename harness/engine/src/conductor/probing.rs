//! The generator's look at itself, beside the time line: `/proc` is long where many descriptors are open.

use khala_evidence::record::Record;
use tokio::task::JoinSet;

use crate::probe::Probe;

/// A probe that looks on a thread of its own.
pub(super) struct Probing {
    /// Here while it does not look.
    probe: Option<Probe>,
    under_way: JoinSet<(Probe, Option<Record>)>,
}

impl Probing {
    pub fn new(probe: Probe) -> Self {
        Self { probe: Some(probe), under_way: JoinSet::new() }
    }

    /// Begins a look, unless one is under way.
    pub fn begin(&mut self) {
        if let Some(mut probe) = self.probe.take() {
            self.under_way.spawn_blocking(move || {
                let seen = probe.look();
                (probe, seen)
            });
        }
    }

    /// What the look that is under way has seen, if it could; pends while there is none. May be dropped
    /// and asked again.
    pub async fn next(&mut self) -> Option<Record> {
        match self.under_way.join_next().await {
            Some(Ok((probe, seen))) => {
                self.probe = Some(probe);
                seen
            }
            // A bug of ours.
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_)) => None,
            None => std::future::pending().await,
        }
    }

    /// Whether no look is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// What could not be read.
    pub fn unprobed(&self) -> Vec<String> {
        match &self.probe {
            Some(probe) => probe.unprobed(),
            None => vec!["the last look at /proc did not end".to_owned()],
        }
    }
}
