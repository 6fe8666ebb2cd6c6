//! Reads of the target's metrics, each a task of its own: whoever asks does not wait for the answer.

use std::sync::Arc;

use khala_evidence::facts::Finding;
use khala_evidence::record::Micros;
use khala_wire::metrics::FanoutMetrics;
use tokio::task::JoinSet;

use crate::answer::{Answer, answer_to};
use crate::clock::Clock;
use crate::http::Http;
use crate::target::Target;

/// Reads under way at once: a target that leaves one unanswered may answer another.
const UNDER_WAY_MAX: usize = 4;

/// What a read is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The look of each second.
    Look,
    /// The side of the target before the faults that are due at this time.
    Baseline(Micros),
    /// What the phases left: the last chance of faults to be proven.
    PhasesOver,
    /// What the run left.
    After,
    /// What is there once every client has left: told, and nothing is judged by it.
    Left,
}

/// A read that ended.
#[derive(Debug)]
pub(super) struct Read {
    pub purpose: Purpose,
    pub asked: Micros,
    pub answered: Micros,
    /// How the request ended.
    pub answer: Answer,
    /// The metrics, or why there are none.
    pub metrics: Result<FanoutMetrics, String>,
}

/// The reads under way, and what of them was in vain.
pub(super) struct Reads {
    target: Arc<Target>,
    http: Http,
    clock: Clock,
    under_way: JoinSet<Read>,
    looks: usize,
    unread: u64,
    /// When the first was asked for that had no answer of use, and why it had none.
    first_unread: Option<(Micros, String)>,
}

impl Reads {
    pub fn new(target: Arc<Target>, http: Http, clock: Clock) -> Self {
        Self {
            target,
            http,
            clock,
            under_way: JoinSet::new(),
            looks: 0,
            unread: 0,
            first_unread: None,
        }
    }

    /// Begins a read, which the requests' time-out bounds; false when enough are under way: of looks
    /// one.
    pub fn begin(&mut self, purpose: Purpose) -> bool {
        let is_look = purpose == Purpose::Look;
        if self.under_way.len() >= UNDER_WAY_MAX || is_look && self.looks > 0 {
            return false;
        }
        self.looks += usize::from(is_look);
        let (target, clock) = (Arc::clone(&self.target), self.clock);
        // No user asks for them: an answer is heard, and none says nothing of those who are served.
        let http = self.http.clone().in_doubt();
        let asked = clock.now();
        self.under_way.spawn(async move {
            let read = target.metrics(&http).await;
            let (answered, answer) = (clock.now(), answer_to(&read));
            let metrics = read.map(|reply| reply.document).map_err(|error| error.to_string());
            Read { purpose, asked, answered, answer, metrics }
        });
        true
    }

    /// The next that ends; pends while none is under way. May be dropped and asked again.
    pub async fn next(&mut self) -> Read {
        loop {
            match self.under_way.join_next().await {
                Some(Ok(read)) => {
                    self.looks -= usize::from(read.purpose == Purpose::Look);
                    if let (Err(why), true) = (&read.metrics, read.purpose != Purpose::Left) {
                        self.unread += 1;
                        self.first_unread.get_or_insert_with(|| (read.asked, why.clone()));
                    }
                    return read;
                }
                // A bug of ours, not a target's.
                Some(Err(error)) if error.is_panic() => {
                    std::panic::resume_unwind(error.into_panic())
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Whether none is under way.
    pub fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Why the first failed, if one has.
    pub fn first_failure(&self) -> Option<&str> {
        self.first_unread.as_ref().map(|(_, why)| why.as_str())
    }

    /// What could not be read, told once.
    pub fn finding(&self) -> Option<Finding> {
        let (asked, why) = self.first_unread.as_ref()?;
        let at_s = std::time::Duration::from_micros(*asked).as_secs_f64();
        let message = format!(
            "the target's fan-out metrics could not be read, first those asked for at {at_s:.1} s: {why}"
        );
        Some(Finding::at_end("metrics_unreadable", message, self.unread))
    }
}
