//! Runs many, a few at once; those that must be undisturbed alone, after the others.

use std::collections::VecDeque;
use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::child::Ended;

/// Something to run.
pub trait Work: Send + 'static {
    /// Runs it to its end, or until it is told to end.
    fn run(self, interrupt: CancellationToken) -> impl Future<Output = Ended> + Send;
}

/// A run to make.
pub struct Job<W> {
    /// The run.
    pub work: W,
    /// Whether no other may go on beside it.
    pub alone: bool,
}

/// Runs all of them, `at_once` at a time, and says of each how it ended, in the order in which they
/// end. An interrupt ends those under way and starts no more: of the latter nothing is said.
pub async fn run<W: Work>(
    jobs: Vec<Job<W>>,
    at_once: usize,
    interrupt: &CancellationToken,
    mut done: impl FnMut(usize, Ended),
) {
    let (alone, beside): (Vec<_>, Vec<_>) =
        jobs.into_iter().enumerate().partition(|(_, job)| job.alone);
    for (jobs, at_once) in [(beside, at_once), (alone, 1)] {
        lanes(jobs.into(), at_once, interrupt, &mut done).await;
    }
}

async fn lanes<W: Work>(
    mut waiting: VecDeque<(usize, Job<W>)>,
    at_once: usize,
    interrupt: &CancellationToken,
    done: &mut impl FnMut(usize, Ended),
) {
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < at_once && !interrupt.is_cancelled() {
            let Some((index, job)) = waiting.pop_front() else { break };
            let interrupt = interrupt.clone();
            under_way.spawn(async move { (index, job.work.run(interrupt).await) });
        }
        match under_way.join_next().await {
            Some(Ok((index, ended))) => done(index, ended),
            // Only a bug of ours ends a task so; its row stays without a run, which is an error.
            Some(Err(bug)) => tracing::error!("a run was lost: {bug}"),
            None => return,
        }
    }
}
