//! What a run comes to when all is over: what is owed is taken back, and the facts are put together.

use std::sync::atomic::Ordering;
use std::time::Duration;

use khala_evidence::facts::{Finding, Generator, RunFacts, TargetFacts};
use khala_evidence::oracle::End;
use khala_evidence::record::Sink;
use khala_plan::model::{ActsOn, TargetKind};
use khala_wire::metrics::FanoutMetrics;

use super::Conductor;
use super::reads::Purpose;
use crate::target::builds::Builds;

/// How long what is taken back is waited for: a command that is being ended, and an undo's longest time.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(130);
/// How long what a signal cut short is waited for.
const CUT_SHORT_WITHIN: Duration = Duration::from_secs(1);

impl<S: Sink> Conductor<'_, S> {
    /// What the target said of its build when it was asked.
    fn asked_build(&self) -> Option<&str> {
        self.build.as_ref().ok().and_then(Option::as_deref)
    }

    /// The builds of the sockets, where some are of another build than the target said.
    fn sockets_build(&self) -> Option<String> {
        self.target.extras.builds()?.otherwise(self.asked_build())
    }

    /// What the target's metrics say against what the clients saw, what could not be learnt, and what
    /// came later than planned.
    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut find = |name: &str, message: String, count: u64| {
            findings.push(Finding::at_end(name, message, count));
        };
        if let Err(why) = &self.build {
            find("target_build_unknown", why.clone(), 1);
        }
        if let Some(sockets) = self.sockets_build() {
            find("sockets_of_another_build", sockets, 1);
        }
        if let Some((what, unnamed)) = self.target.extras.builds().and_then(Builds::unnamed) {
            find("sockets_without_build", what, unnamed);
        }
        if let Some((late, what)) = &self.state.latest {
            let message = format!(
                "the time line was late, most of all with {what}, which began {:.1?} after its time: \
                 judging goes by the plan's times",
                Duration::from_micros(*late)
            );
            find("began_late", message, self.state.late);
        }
        if let (Some((_, first)), Some(after)) = (&self.state.first_metrics, &self.state.after)
            && self.plan.target.exclusive
            // The counts of another process began anew.
            && first.process_id == after.process_id
        {
            let evicted =
                |metrics: &FanoutMetrics| metrics.delivery_metrics.slow_consumer_evictions;
            let (counted, seen) =
                (evicted(after).saturating_sub(evicted(first)), self.heads.told_off());
            // A client that does not read may never have the word of its eviction.
            let slow = self.schedule.faults.iter().any(|fault| fault.kind.slowness().is_some());
            if seen > counted || counted > seen && !slow {
                let message = format!(
                    "the target counted {counted} evictions of slow clients, the clients were told of {seen}"
                );
                find("metrics_disagree", message, counted.abs_diff(seen));
            }
            let refused = |metrics: &FanoutMetrics| -> u64 {
                let rows = metrics.topic_windows.iter();
                rows.map(|row| {
                    row.stale_cursor_budget_exceeded_count + row.stale_cursor_retention_floor_count
                })
                .sum()
            };
            let counted = refused(after).saturating_sub(refused(first));
            let seen = self.heads.stale();
            if counted != seen {
                let message = format!(
                    "the target counted {counted} stale cursors, the clients were told of {seen}"
                );
                find("metrics_disagree", message, counted.abs_diff(seen));
            }
        }
        let faults = self.schedule.faults.iter();
        let restarted = faults.map(|fault| fault.kind.acts_on()).any(|it| it == ActsOn::Target);
        findings.extend(self.state.counters.finding(restarted));
        findings.extend(self.reads.finding());
        findings
    }

    /// Stops what is left and puts the facts together; also returns the conductor's sink.
    pub async fn finish(
        mut self,
        run_id: String,
        started_at: String,
        utc_now: fn() -> String,
        end: End,
    ) -> (RunFacts, S) {
        self.probing.begin();
        if !self.state.interrupted && self.state.lost.is_none() {
            self.reads.begin(Purpose::Left);
        }
        let within = match self.state.interrupted || self.state.lost.is_some() {
            true => CUT_SHORT_WITHIN,
            false => self.plan.target.request_timeout + CUT_SHORT_WITHIN,
        };
        self.wait_for(within, |run| run.reads.is_idle() && run.probing.is_idle()).await;
        // Commands are bounded each; what they take back is waited for.
        self.acts.cut_short();
        self.wait_for(TAKEN_BACK_WITHIN, |run| !run.acts.owe()).await;
        // Who is not ready by now is given up: what it owes goes to somebody else.
        self.acts.give_up().await;
        self.wait_for(TAKEN_BACK_WITHIN, |run| !run.acts.owe()).await;
        self.take_told();
        // What was still to be proven has had its time.
        self.prove(true);
        self.acts.stop().await;
        let findings = self.findings();
        let asked = self.asked_build().map(str::to_owned);
        let sockets = self.target.extras.builds().map(|builds| builds.sockets(asked.as_deref()));
        let build = self.sockets_build().or(asked);
        let (kind, defects) = match &self.plan.target.kind {
            TargetKind::Reference { defects, .. } => ("reference", defects.clone()),
            TargetKind::Url { .. } => ("url", Vec::new()),
        };
        let generator = Generator {
            worker_threads: self.plan.generator.client_threads(),
            descriptors_limit: self.descriptors_limit,
            publishes_planned: self.schedule.publishes.len() as u64,
            publishes_begun: self.begun.load(Ordering::Relaxed),
            unprobed: self.probing.unprobed(),
            ..Generator::default()
        };
        let facts = RunFacts {
            run_id,
            started_at,
            ended_at: utc_now(),
            duration_us: end.at,
            interrupted: self.state.interrupted,
            drained: end.drained,
            target: TargetFacts {
                way: None,
                url: self.target.base_url.clone(),
                kind: kind.to_owned(),
                defects,
                build,
                sockets,
                lost: self.state.lost,
                lost_at_us: self.state.lost_at,
            },
            faults: self.proofs.into_outcomes(),
            generator,
            findings,
            events_dropped: 0,
            unfinished: None,
            unkept: Vec::new(),
        };
        (facts, self.sink)
    }
}
