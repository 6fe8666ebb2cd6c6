//! The end of the load: publishing ends, the topics run dry, clients and workers leave.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use khala_evidence::record::Sink;
use khala_plan::Plan;
use khala_plan::model::{Cohort, DRAIN};
use khala_wire::TopicKind;
use khala_wire::topic::TopicId;
use tokio::sync::watch;

use super::reads::Purpose;
use super::{Conductor, LOOK_EVERY};
use crate::clock::micros;
use crate::observe::EventKind;
use crate::publisher;
use crate::worker::Stage;

/// For how long nothing may have changed for the topics to count as dry.
const QUIET_FOR: Duration = Duration::from_secs(1);
/// How long faults on the target may be under way when the drain wants to begin.
const ACTS_WITHIN: Duration = Duration::from_secs(30);
/// More than a thread needs to end, when what it waits for is over.
const THREAD_GRACE: Duration = Duration::from_secs(5);

impl<S: Sink> Conductor<'_, S> {
    /// Ends publishing and lets the topics run dry. Returns whether every live client had
    /// everything, or had had the time for it while nothing more came; and what the publishers' thread
    /// left, unless it is lost.
    pub async fn drain<T: Send + 'static>(
        &mut self,
        publisher: JoinHandle<(T, Vec<u32>)>,
        stage: &watch::Sender<Stage>,
    ) -> (bool, Option<T>) {
        self.say(EventKind::DrainBegan);
        self.notice_loss();
        let cut_short = self.state.interrupted || self.state.lost.is_some();
        if cut_short {
            self.acts.cut_short();
        }
        // Cut short, the clients may go at once: nothing that is missing now proves anything.
        stage.send_replace(if cut_short { Stage::Retire } else { Stage::Draining });
        if !cut_short {
            // A target that is being restarted takes no commands.
            self.wait_for(ACTS_WITHIN, |run| run.acts.is_idle() || run.is_interrupted()).await;
            self.reads.begin(Purpose::PhasesOver);
        }
        let ended = self.join_publisher(publisher, stage).await;
        let Some((sink, acknowledged)) = ended else { return (false, None) };
        let drained = !cut_short && self.runs_dry(&acknowledged).await;
        let clients = self.schedule.staying();
        self.say(EventKind::DrainEnded {
            drained,
            behind: self.sum(|numbers| &numbers.behind),
            not_live: clients.saturating_sub(self.sum(|numbers| &numbers.live)),
            unseen: acknowledged.iter().filter(|&&n| !self.heads.has_seen(n)).count() as u64,
        });
        if self.state.lost.is_none() {
            self.reads.begin(Purpose::After);
        }
        (drained, Some(sink))
    }

    fn is_interrupted(&self) -> bool {
        self.interrupt.is_cancelled()
    }

    /// Waits for the publishers' thread, whose commands are each timed out; `None` when it is lost.
    async fn join_publisher<T: Send + 'static>(
        &mut self,
        publisher: JoinHandle<T>,
        stage: &watch::Sender<Stage>,
    ) -> Option<T> {
        let answers_within = self.plan.target.request_timeout + THREAD_GRACE;
        let within = self.plan.oracle.drain_within + answers_within;
        let ends = |run: &Self| publisher.is_finished() || run.is_interrupted();
        self.wait_for(within, ends).await;
        if !publisher.is_finished() {
            // What it still has to catch up with is too late.
            stage.send_replace(Stage::Retire);
            self.wait_for(answers_within, |_| publisher.is_finished()).await;
        }
        // A panic is a bug of ours, as is a thread that does not end: the run counts it as lost, and is
        // judged inconclusive. A panic's message is on stderr.
        if publisher.is_finished() { publisher.join().ok() } else { None }
    }

    /// Stops the workers that the run has made, once nobody listens any more: what its own last commands
    /// push out would hide what was waiting.
    pub async fn stop_workers(&mut self, workers: &[String]) {
        if self.state.lost.is_some() {
            return;
        }
        let (target, http) = (Arc::clone(&self.target), self.http.clone());
        let (plan, within) = (self.plan, self.plan.target.request_timeout * 2);
        let stopping = publisher::stop_workers(plan, &target, &http, self.clock, workers, within);
        let (remaining, told) = self.meanwhile(stopping).await;
        told.into_iter().for_each(|record| self.sink.record(record));
        for (worker, why) in remaining {
            self.say(EventKind::WorkerRemains { worker, why });
        }
    }

    async fn runs_dry(&mut self, acknowledged: &[u32]) -> bool {
        let begun = self.clock.now();
        if self.plan.is_passive() {
            // Others write on: what came until now must reach everybody, and no more.
            self.heads.call_due();
        }
        let until = begun + micros(self.plan.oracle.drain_within);
        // A state that was acknowledged last may take as long to show.
        let settled_at = begun + micros(self.plan.oracle.settle_within);
        let states_are_watched = states_are_watched(self.plan);
        let mut last = (self.all_heads(), u64::MAX);
        let mut changed_at = begun;
        loop {
            if !self.wait_until(self.clock.now() + micros(LOOK_EVERY)).await {
                return false;
            }
            self.notice_loss();
            if self.state.lost.is_some() {
                return false;
            }
            self.probing.begin();
            if self.is_next_second() {
                self.show(DRAIN);
            }
            // Numbers shown before the last change say nothing about it.
            let fresh = self
                .numbers
                .iter()
                .all(|shown| shown.shown_at.load(Ordering::Relaxed) > changed_at);
            let state = (self.all_heads(), self.sum(|numbers| &numbers.behind));
            if state != last {
                last = state;
                changed_at = self.clock.now();
                continue;
            }
            let now = self.clock.now();
            let settled =
                !states_are_watched || self.heads.versions_are_seen() || now >= settled_at;
            let quiet = fresh && settled && now >= changed_at + micros(QUIET_FOR);
            let complete = last.1 == 0 && acknowledged.iter().all(|&n| self.heads.has_seen(n));
            if quiet && complete {
                return true;
            }
            if self.clock.now() >= until {
                return quiet;
            }
        }
    }

    fn all_heads(&self) -> Vec<u64> {
        TopicId::all().map(|topic| self.heads.due(topic)).collect()
    }

    /// Waits for threads, which end within `within`; those that do not are lost. What comes back
    /// meanwhile is taken.
    pub async fn join_all<T: Send + 'static>(
        &mut self,
        threads: Vec<JoinHandle<T>>,
        within: Duration,
    ) -> Vec<T> {
        self.wait_for(within, |_| threads.iter().all(JoinHandle::is_finished)).await;
        let (ended, lost): (Vec<_>, Vec<_>) =
            threads.into_iter().partition(JoinHandle::is_finished);
        if !lost.is_empty() {
            tracing::error!(threads = lost.len(), "threads did not end");
        }
        ended.into_iter().filter_map(|thread| thread.join().ok()).collect()
    }

    /// All clients have left.
    pub fn say_retired(&mut self) {
        self.say(EventKind::Retired);
    }
}

/// Whether any client subscribes to a state topic that a load feeds.
fn states_are_watched(plan: &Plan) -> bool {
    let mut fed = plan.loads.iter().flat_map(|load| load.command.topics());
    fed.any(|topic| {
        let watches = |cohort: &Cohort| cohort.topics.contains(&topic);
        topic.kind() == TopicKind::State && plan.fleet.cohorts.iter().any(watches)
    })
}
