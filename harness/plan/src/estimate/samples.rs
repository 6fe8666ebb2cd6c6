//! How much evidence an objective can expect, by a rule for each metric.
//!
//! | metric | one sample for |
//! | --- | --- |
//! | `token_mint`, `mint_errors`, `connect`, `join`, `subscribe`, `replay_bootstrap` | each connect: a client's first in the ramp, and one after each planned cut |
//! | `auth_errors`, `topic_errors` | twice that: mint and connect, join and subscribe |
//! | `time_to_recovered`, `resume_to_live`, `reconnect_attempts`, `unrecovered_clients` | each planned cut of a client |
//! | `delivery`, `violations` | each publish, subscriber and topic that it feeds; states may skip versions, so theirs is the most there can be |
//! | `heartbeat_rtt` | each heartbeat interval of each client |
//! | `publish`, `publish_errors` | each publish |
//! | `heartbeat_timeouts`, `reconnects`, `peak_connects_per_s` | (each second of the phases) |
//!
//! Cuts count in the phase in which they are planned. Retries, which only a failing target causes,
//! are not counted.

use std::collections::BTreeSet;

use crate::metric::MetricId;
use crate::model::{Cohort, Objective, Plan};
use crate::schedule::{PhaseWindow, Schedule, micros};

/// The evidence that an objective can expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Samples.
    Samples(f64),
    /// Seconds during which occurrences are counted.
    Seconds(f64),
}

/// The evidence for each verdict of an objective: one, or with `surface = "*"` one a surface.
#[must_use]
pub fn expected(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
) -> Vec<(Option<&'static str>, Expected)> {
    let scope = Scope::new(plan, schedule, objective);
    let surfaces = plan.fleet.cohorts.iter().map(|cohort| cohort.surface.name());
    match objective.selector.get("surface").map(String::as_str) {
        None => vec![(None, scope.expected(objective.metric, |_| true))],
        Some("*") => surfaces
            .map(|name| {
                (Some(name), scope.expected(objective.metric, |c| c.surface.name() == name))
            })
            .collect(),
        Some(only) => surfaces
            .filter(|name| *name == only)
            .map(|name| {
                (Some(name), scope.expected(objective.metric, |c| c.surface.name() == name))
            })
            .collect(),
    }
}

/// The parts of a plan that an objective looks at.
struct Scope<'a> {
    plan: &'a Plan,
    windows: Vec<&'a PhaseWindow>,
    /// Per cohort: first connects within the phases.
    arrivals: Vec<u64>,
    /// Per cohort: planned cuts within the phases.
    cuts: Vec<u64>,
    /// Per load: publishes within the phases.
    publishes: Vec<u64>,
}

impl<'a> Scope<'a> {
    fn new(plan: &'a Plan, schedule: &'a Schedule, objective: &Objective) -> Self {
        let wanted: BTreeSet<usize> = schedule
            .phases
            .iter()
            .enumerate()
            .filter(|(_, phase)| objective.during.contains(&phase.name))
            .map(|(index, _)| index)
            .collect();
        let mut arrivals = vec![0; plan.fleet.cohorts.len()];
        let mut cohort_of = vec![0; schedule.arrivals.len()];
        for arrival in &schedule.arrivals {
            cohort_of[arrival.client as usize] = usize::from(arrival.cohort);
            if wanted.contains(&schedule.phase_at(arrival.at_us)) {
                arrivals[usize::from(arrival.cohort)] += 1;
            }
        }
        let mut cuts = vec![0; plan.fleet.cohorts.len()];
        for fault in schedule.faults.iter().filter(|f| wanted.contains(&usize::from(f.phase))) {
            for target in &fault.targets {
                cuts[cohort_of[*target as usize]] += 1;
            }
        }
        let mut publishes = vec![0; plan.loads.len()];
        for publish in &schedule.publishes {
            if wanted.contains(&schedule.phase_at(publish.at_us)) {
                publishes[usize::from(publish.load)] += 1;
            }
        }
        let windows = wanted.iter().map(|index| &schedule.phases[*index]).collect();
        Self { plan, windows, arrivals, cuts, publishes }
    }

    fn expected(&self, metric: MetricId, selects: impl Fn(&Cohort) -> bool) -> Expected {
        let cohorts: Vec<usize> =
            (0..self.arrivals.len()).filter(|i| selects(&self.plan.fleet.cohorts[*i])).collect();
        let sum = |counts: &[u64]| cohorts.iter().map(|i| counts[*i]).sum::<u64>() as f64;
        let connects = sum(&self.arrivals) + sum(&self.cuts);
        let seconds = self.windows.iter().map(|w| (w.end_us - w.start_us) as f64 / 1e6).sum();
        match metric {
            MetricId::TokenMint
            | MetricId::MintErrors
            | MetricId::Connect
            | MetricId::Join
            | MetricId::Subscribe
            | MetricId::ReplayBootstrap => Expected::Samples(connects),
            MetricId::AuthErrors | MetricId::TopicErrors => Expected::Samples(2.0 * connects),
            MetricId::TimeToRecovered
            | MetricId::ResumeToLive
            | MetricId::ReconnectAttempts
            | MetricId::Unrecovered => Expected::Samples(sum(&self.cuts)),
            MetricId::Delivery | MetricId::Violations => {
                Expected::Samples(self.deliveries(&cohorts))
            }
            MetricId::HeartbeatRtt => Expected::Samples(self.heartbeats(&cohorts)),
            MetricId::Publish | MetricId::PublishErrors => {
                Expected::Samples(self.publishes.iter().sum::<u64>() as f64)
            }
            MetricId::HeartbeatTimeouts | MetricId::Reconnects | MetricId::PeakConnects => {
                Expected::Seconds(seconds)
            }
        }
    }

    fn deliveries(&self, cohorts: &[usize]) -> f64 {
        let mut deliveries = 0.0;
        for (load, publishes) in self.plan.loads.iter().zip(&self.publishes) {
            let fed = load.command.topics();
            for index in cohorts {
                let cohort = &self.plan.fleet.cohorts[*index];
                let topics = cohort.topics.iter().filter(|topic| fed.contains(topic)).count();
                deliveries += *publishes as f64 * f64::from(cohort.clients) * topics as f64;
            }
        }
        deliveries
    }

    fn heartbeats(&self, cohorts: &[usize]) -> f64 {
        let of_cohort = |cohort: &Cohort| {
            let interval_us = micros(cohort.heartbeat).max(1);
            let each: u64 =
                self.windows.iter().map(|w| (w.end_us - w.start_us) / interval_us).sum();
            each as f64 * f64::from(cohort.clients)
        };
        cohorts.iter().map(|index| of_cohort(&self.plan.fleet.cohorts[*index])).sum()
    }
}
