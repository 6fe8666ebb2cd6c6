//! What comes back while the time line waits: the target's metrics, what faults came to, and their proofs.

use std::time::Duration;

use khala_evidence::record::{Micros, Record, Request, Sink};
use khala_wire::metrics::FanoutMetrics;

use super::Conductor;
use super::acts::{Acted, Telling};
use super::proofs::Now;
use super::reads::{Purpose, Read};
use crate::clock::micros;
use crate::observe::EventKind;
use crate::target::window::{Window, windows};

/// How often a snapshot of them is kept.
const METRICS_KEPT_EVERY: Duration = Duration::from_secs(10);

impl<S: Sink> Conductor<'_, S> {
    /// Takes the target's metrics: enters its windows, proves faults.
    pub(super) fn read(&mut self, read: Read) {
        let Read { purpose, asked, answered, answer, metrics } = read;
        if purpose == Purpose::Left {
            // The run was over when it was asked for.
            metrics.into_iter().for_each(|metrics| self.observer.metrics("left", &metrics));
            return;
        }
        self.sink.record(answer.record(Request::Metrics, None, asked, answered));
        if let Purpose::Baseline(due) = purpose {
            self.proofs.baseline(due, answered, metrics.clone());
        }
        if let Ok(metrics) = metrics {
            for renewed in self.state.renewal.see(asked, answered, &metrics) {
                self.sink.record(renewed);
            }
            self.state.counters.see(asked, answered, &metrics);
            if let Some(counted) = self.state.evictions.see(answered, &metrics) {
                self.sink.record(counted);
            }
            for (topic, window) in windows(&metrics) {
                let Window { oldest, head, budget, tier } = window;
                let window = Record::Window { asked, answered, topic, oldest, head, budget, tier };
                self.sink.record(window);
            }
            self.keep(purpose, asked, answered, metrics);
        }
        self.prove(false);
        if purpose == Purpose::PhasesOver {
            self.proofs.metrics_are_over();
        }
    }

    fn keep(&mut self, purpose: Purpose, asked: Micros, answered: Micros, metrics: FanoutMetrics) {
        if purpose == Purpose::After {
            self.observer.metrics("after", &metrics);
            self.state.after = Some(metrics.clone());
        } else if self.state.first_metrics.is_none() {
            self.observer.metrics("before", &metrics);
        } else if answered >= self.state.metrics_kept_due {
            self.observer.metrics(&format!("during-{:04}", answered / 1_000_000), &metrics);
        }
        if answered >= self.state.metrics_kept_due {
            self.state.metrics_kept_due = answered + micros(METRICS_KEPT_EVERY);
        }
        if self.state.first_metrics.as_ref().is_none_or(|(first, _)| asked < *first) {
            self.state.first_metrics = Some((asked, metrics.clone()));
        }
        if self.state.last_metrics.as_ref().is_none_or(|(last, _)| asked >= *last) {
            self.state.last_metrics = Some((asked, metrics));
        }
    }

    /// Takes what faults on the target came to so far.
    pub(super) fn take_told(&mut self) {
        let Telling { records, events } = self.acts.take_told();
        records.into_iter().for_each(|record| self.sink.record(record));
        for event in events {
            if let EventKind::CommandEnded { id, run } = &event.kind {
                self.proofs.ran(*id, run.clone());
            }
            self.observer.event(&event);
        }
    }

    pub(super) fn acted(&mut self, Acted { fault, done }: Acted) {
        self.take_told();
        match &done {
            Ok(answered) => self.heads.count_answered(fault, *answered),
            Err(why) => self.proofs.refused(fault, why.clone()),
        }
        let failed = done.err();
        self.say(EventKind::FaultActed { id: fault, failed });
    }

    /// Asks what is known of the target's side what became of faults.
    pub(super) fn prove(&mut self, last_chance: bool) {
        let last = self.state.last_metrics.as_ref();
        let heads = self.heads;
        let now = Now {
            at: self.clock.now(),
            metrics: last.map(|(asked, metrics)| (*asked, metrics)),
            answered: &|fault| heads.answered(fault),
            unread: self.reads.first_failure(),
        };
        let said = self.proofs.look(&now, last_chance);
        said.into_iter().for_each(|event| self.say(event));
    }
}
