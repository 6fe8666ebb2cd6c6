//! How much evidence an objective can expect, by a rule for each metric.
//!
//! | metric | one sample for |
//! | --- | --- |
//! | `token_mint`, `mint_errors`, `connect`, `join`, `subscribe`, `replay_bootstrap` | each connect: a client's first in the ramp, and one after each planned cut |
//! | `auth_errors`, `topic_errors` | twice that: mint and connect, join and subscribe |
//! | `time_to_recovered`, `reconnect_attempts`, `unrecovered_clients` | each planned cut of a client |
//! | `resume_to_live`, `replay_lag` | each return of a client that was cut |
//! | `snapshot` | each return with a cursor that is stale by plan, and topic with a snapshot |
//! | `delivery` | each publish, and subscriber of the stream that it feeds who is live by then: arrived, and not away by plan, a second before it at the latest; and whom no slow reader fault hits at any time |
//! | `violations` | each publish, subscriber and topic that it feeds; states may skip versions, so theirs is the most there can be |
//! | `delivery_spread` | each publish of which two such subscribers get the event, and surface with any among them |
//! | `bystander_ratio` | the same as `delivery`: the fewer of those during and against |
//! | `heartbeat_rtt` | each heartbeat interval of each client |
//! | `publish`, `publish_errors` | each publish |
//! | `heartbeat_timeouts`, `reconnects`, `peak_connects_per_s`, `unplanned_stale_cursors` | (each second of the phases) |
//!
//! A cut counts in the phase in which it is planned, a return and its connects in the phase in which
//! the client's absence ends. Retries, which only a failing target causes, are not counted. What comes of the
//! events of others nobody can count: all that a passive run has to expect of events. Where so little is expected,
//! more may come: whether there is any occasion at all is asked of [`possible`].

use std::collections::BTreeSet;

use khala_wire::TopicKind;
use khala_wire::topic::TopicId;

use super::presence::{self, Presence};
use crate::gate::power;
use crate::metric::MetricId;
use crate::model::{Cohort, Estimator, Load, Mint, Objective, Plan, Resume, SnapshotPath};
use crate::schedule::{PhaseWindow, PlannedFault, Schedule};
use crate::surface::Surface;
use crate::units::micros;

/// The evidence that an objective can expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// Samples.
    Samples(f64),
    /// Samples, over so many seconds that have any.
    SamplesOver(f64, u64),
    /// Seconds during which occurrences are counted.
    Seconds(f64),
    /// As many as others make: nobody can say beforehand.
    OfOthers,
}

/// The evidence for each verdict of an objective that can be counted on: one, or with `surface = "*"` one a surface.
#[must_use]
pub fn expected(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
) -> Vec<(Option<&'static str>, Expected)> {
    if !objective.metric.is_of_streams() {
        return counted(plan, schedule, objective, Live::Everybody);
    }
    let presences = Presence::of_cohorts(plan, schedule);
    counted(plan, schedule, objective, Live::Present(&presences))
}

/// The same if every client were live all the time: an objective that has no sample even so has no occasion.
pub(super) fn possible(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
) -> Vec<(Option<&'static str>, Expected)> {
    counted(plan, schedule, objective, Live::Everybody)
}

/// Who gets a publish live.
#[derive(Clone, Copy)]
enum Live<'a> {
    /// Every client of the plan, all the time.
    Everybody,
    /// Those of each cohort that can be counted on at that moment.
    Present(&'a [Presence]),
}

impl<'a> Live<'a> {
    /// Whether it is counted at each publish.
    fn is_counted(self) -> bool {
        matches!(self, Self::Present(_))
    }

    /// When the clients of each cohort are live, where that is counted.
    fn presences(self) -> &'a [Presence] {
        match self {
            Self::Everybody => &[],
            Self::Present(presences) => presences,
        }
    }
}

fn counted(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
    live: Live<'_>,
) -> Vec<(Option<&'static str>, Expected)> {
    let scope = |phases: &[String]| Scope::new(plan, schedule, phases, live);
    let during = scope(&objective.during);
    let against =
        (objective.require.estimator == Estimator::Ratio).then(|| scope(&objective.against));
    let one = |surface: Option<Surface>| {
        let selects = |c: &Cohort| surface.is_none_or(|surface| c.surface == surface);
        let of = |scope: &Scope<'_>| scope.expected(objective.metric, selects);
        let over_time = power::seconds(objective.metric, &objective.require, None).is_some();
        let expected = match against.as_ref().map(of) {
            Some(against) => of(&during).or_less(against),
            None => of(&during),
        };
        let expected = match expected {
            Expected::Samples(samples) if over_time => {
                Expected::SamplesOver(samples, during.seconds(objective.metric, selects, samples))
            }
            other => other,
        };
        (surface.map(Surface::name), expected)
    };
    let surfaces = plan.fleet.surfaces().into_iter();
    match objective.selector.get("surface").map(String::as_str) {
        None => vec![one(None)],
        Some("*") => surfaces.map(|surface| one(Some(surface))).collect(),
        Some(only) => surfaces.filter(|s| s.name() == only).map(|s| one(Some(s))).collect(),
    }
}

impl Expected {
    /// Whether there is nothing to expect.
    pub(super) fn is_no_sample(self) -> bool {
        matches!(self, Self::Samples(0.0) | Self::SamplesOver(0.0, _))
    }

    fn or_less(self, other: Self) -> Self {
        match (self, other) {
            (Self::Samples(one), Self::Samples(other)) => Self::Samples(one.min(other)),
            _ => self,
        }
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
    /// Per cohort: returns from planned cuts within the phases.
    returns: Vec<u64>,
    /// Per cohort: returns with a cursor that the plan makes stale, by topic with a snapshot.
    snapshots: Vec<u64>,
    /// Per cohort: clients that a slow reader fault hits.
    slow: Vec<u64>,
    /// Per cohort: what share of its clients is there in the mean, over the phases and at publishes in them. All
    /// of them are, without stages.
    there: Vec<f64>,
    /// Who gets a publish live.
    live: Live<'a>,
    /// Per load: publishes within the phases.
    publishes: Vec<u64>,
    /// Per load: when they are, where it is asked who is live.
    publishes_at: Vec<Vec<u64>>,
    /// Per load: the seconds of the run in which they are.
    publish_seconds: Vec<BTreeSet<u64>>,
}

impl<'a> Scope<'a> {
    fn new(plan: &'a Plan, schedule: &'a Schedule, phases: &[String], live: Live<'a>) -> Self {
        let within = |at_us| {
            let phase = &schedule.phases[schedule.phase_at(at_us)];
            phases.contains(&phase.name)
        };
        let zeros = || vec![0_u64; plan.fleet.cohorts.len()];
        let mut arrivals = zeros();
        let mut cohort_of = vec![0; plan.fleet.clients as usize];
        for arrival in &schedule.arrivals {
            cohort_of[arrival.client as usize] = usize::from(arrival.cohort);
            if within(arrival.at_us) {
                arrivals[usize::from(arrival.cohort)] += 1;
            }
        }
        let (mut cuts, mut returns, mut snapshots) = (zeros(), zeros(), zeros());
        for fault in &schedule.faults {
            let hit = || hit(schedule, fault).map(|client| cohort_of[client as usize]);
            let Some(back_us) = back(fault) else { continue };
            if within(fault.at_us) {
                hit().for_each(|cohort| cuts[cohort] += 1);
            }
            if within(back_us) {
                hit().for_each(|cohort| returns[cohort] += 1);
                for cohort in hit() {
                    let topics = plan.fleet.cohorts[cohort].topics.iter();
                    let stale = topics.filter(|topic| stale(plan, schedule, fault, **topic));
                    snapshots[cohort] += stale.count() as u64;
                }
            }
        }
        let mut slow = zeros();
        let slow_clients = presence::slow(schedule).into_iter();
        slow_clients.for_each(|client| slow[cohort_of[client as usize]] += 1);
        let mut publishes = vec![0; plan.loads.len()];
        let mut publish_seconds = vec![BTreeSet::new(); plan.loads.len()];
        let mut publishes_at = vec![Vec::new(); plan.loads.len()];
        for publish in schedule.publishes.iter().filter(|publish| within(publish.at_us)) {
            let load = usize::from(publish.load);
            publishes[load] += 1;
            publish_seconds[load].insert(publish.at_us / 1_000_000);
            publishes_at[load].extend(live.is_counted().then_some(publish.at_us));
        }
        let windows: Vec<_> = schedule.phases.iter().filter(|p| phases.contains(&p.name)).collect();
        let there = there(plan, schedule, &windows);
        Self {
            plan,
            windows,
            arrivals,
            cuts,
            returns,
            snapshots,
            slow,
            there,
            live,
            publishes,
            publishes_at,
            publish_seconds,
        }
    }

    fn expected(&self, metric: MetricId, selects: impl Fn(&Cohort) -> bool) -> Expected {
        let cohorts: Vec<usize> =
            (0..self.arrivals.len()).filter(|i| selects(&self.plan.fleet.cohorts[*i])).collect();
        let sum = |counts: &[u64]| cohorts.iter().map(|i| counts[*i]).sum::<u64>() as f64;
        let connects = sum(&self.arrivals) + sum(&self.returns);
        // A token that the harness signs itself asks nobody, and is no sample.
        let minted = matches!(self.plan.auth.mint, Mint::Control { .. });
        let mints = if minted { connects } else { 0.0 };
        let seconds = self.windows.iter().map(|w| (w.end_us - w.start_us) as f64 / 1e6).sum();
        match metric {
            MetricId::TokenMint | MetricId::MintErrors => Expected::Samples(mints),
            MetricId::TlsHandshake if !self.plan.target.is_over_tls() => Expected::Samples(0.0),
            MetricId::TlsHandshake => Expected::Samples(connects),
            MetricId::Connect
            | MetricId::ConnectErrors
            | MetricId::Join
            | MetricId::Subscribe
            | MetricId::ReplayBootstrap => Expected::Samples(connects),
            MetricId::AuthErrors => Expected::Samples(mints + connects),
            MetricId::TopicErrors => Expected::Samples(2.0 * connects),
            MetricId::TimeToRecovered | MetricId::ReconnectAttempts | MetricId::Unrecovered => {
                Expected::Samples(sum(&self.cuts))
            }
            MetricId::ResumeToLive | MetricId::ReplayLag => Expected::Samples(sum(&self.returns)),
            MetricId::Snapshot => Expected::Samples(sum(&self.snapshots)),
            MetricId::Violations
            | MetricId::Delivery
            | MetricId::DeliverySpread
            | MetricId::BystanderRatio
                if self.plan.is_passive() && self.of_others(metric, &cohorts) =>
            {
                Expected::OfOthers
            }
            MetricId::Violations => Expected::Samples(self.deliveries(&cohorts, |_| true, |_| 0)),
            MetricId::Delivery | MetricId::BystanderRatio if self.live.is_counted() => {
                Expected::Samples(self.live_deliveries(&cohorts).map(|(_, n)| n).sum::<u64>() as f64)
            }
            MetricId::DeliverySpread if self.live.is_counted() => {
                Expected::Samples(self.live_spreads(&cohorts).map(|(_, n)| n).sum::<u64>() as f64)
            }
            MetricId::Delivery => Expected::Samples(self.deliveries(&cohorts, is_stream, |_| 0)),
            MetricId::DeliverySpread => Expected::Samples(self.spreads(&cohorts)),
            MetricId::BystanderRatio => {
                let slow = |cohort: usize| self.slow[cohort];
                Expected::Samples(self.deliveries(&cohorts, is_stream, slow))
            }
            MetricId::HeartbeatRtt => Expected::Samples(self.heartbeats(&cohorts)),
            MetricId::Publish | MetricId::PublishErrors => {
                Expected::Samples(self.publishes.iter().sum::<u64>() as f64)
            }
            MetricId::HeartbeatTimeouts
            | MetricId::Reconnects
            | MetricId::PeakConnects
            | MetricId::UnplannedStale => Expected::Seconds(seconds),
        }
    }

    /// The cohorts, by their places, that subscribe to a stream which a load feeds: each with to how many of its
    /// streams the load publishes.
    fn fed(&self, load: &Load) -> Vec<(usize, u64)> {
        let fed = load.command.topics();
        let streams = |cohort: &Cohort| {
            cohort.topics.iter().filter(|topic| fed.contains(topic) && is_stream(topic)).count()
                as u64
        };
        let cohorts = self.plan.fleet.cohorts.iter().map(streams).enumerate();
        cohorts.filter(|(_, streams)| *streams > 0).collect()
    }

    /// When each publish is, and how many clients of some cohorts get it live.
    fn live_deliveries(&self, cohorts: &[usize]) -> impl Iterator<Item = (u64, u64)> {
        self.live_publishes(move |at, fed, live| {
            let chosen = fed.iter().filter(|(cohort, _)| cohorts.contains(cohort));
            chosen.map(|(cohort, streams)| live[*cohort].at(at) * streams).sum()
        })
    }

    /// When each publish is, and how many surfaces of some cohorts get it live, where two clients of the fleet do.
    fn live_spreads(&self, cohorts: &[usize]) -> impl Iterator<Item = (u64, u64)> {
        self.live_publishes(move |at, fed, live| {
            let there: Vec<_> =
                fed.iter().map(|(it, _)| (*it, live[*it].at(at))).filter(|(_, n)| *n > 0).collect();
            let chosen = there.iter().filter(|(cohort, _)| cohorts.contains(cohort));
            let surfaces: BTreeSet<_> =
                chosen.map(|(it, _)| self.plan.fleet.cohorts[*it].surface).collect();
            let clients: u64 = there.iter().map(|(_, n)| n).sum();
            if clients > 1 { surfaces.len() as u64 } else { 0 }
        })
    }

    /// When each publish is, and what `count` makes of it: it is told the cohorts that the load feeds.
    fn live_publishes(
        &self,
        count: impl Fn(u64, &[(usize, u64)], &[Presence]) -> u64,
    ) -> impl Iterator<Item = (u64, u64)> {
        let live = self.live.presences();
        let loads = self.plan.loads.iter().zip(&self.publishes_at);
        loads.flat_map(move |(load, publishes)| {
            let fed = self.fed(load);
            publishes.iter().map(|&at| (at, count(at, &fed, live))).collect::<Vec<_>>()
        })
    }

    /// Seconds that have any of the expected samples.
    fn seconds(&self, metric: MetricId, selects: impl Fn(&Cohort) -> bool, samples: f64) -> u64 {
        let cohorts = || self.plan.fleet.cohorts.iter().filter(|cohort| selects(cohort));
        let feeds = |load: &Load| {
            let fed = load.command.topics();
            cohorts()
                .any(|it| it.topics.iter().any(|topic| fed.contains(topic) && is_stream(topic)))
        };
        let publishing = |counts: &dyn Fn(&Load) -> bool| {
            let loads = self.plan.loads.iter().zip(&self.publish_seconds);
            let seconds = loads.filter(|(load, _)| counts(load)).flat_map(|(_, seconds)| seconds);
            seconds.collect::<BTreeSet<_>>().len() as u64
        };
        let any = |counts: &mut dyn Iterator<Item = (u64, u64)>| {
            let seconds = counts.filter(|(_, n)| *n > 0).map(|(at, _)| at / 1_000_000);
            seconds.collect::<BTreeSet<_>>().len() as u64
        };
        let places = || {
            let cohorts = self.plan.fleet.cohorts.iter().enumerate();
            cohorts.filter(|(_, it)| selects(it)).map(|(place, _)| place).collect::<Vec<_>>()
        };
        match metric {
            MetricId::Delivery if self.live.is_counted() => {
                any(&mut self.live_deliveries(&places()))
            }
            MetricId::DeliverySpread if self.live.is_counted() => {
                any(&mut self.live_spreads(&places()))
            }
            MetricId::Delivery | MetricId::DeliverySpread => publishing(&feeds),
            MetricId::Publish => publishing(&|_| true),
            _ => {
                let us: u64 = self.windows.iter().map(|w| w.end_us - w.start_us).sum();
                us.div_ceil(1_000_000).min(samples as u64)
            }
        }
    }

    /// Deliveries to the clients of some cohorts, but for those that `without` counts.
    fn deliveries(
        &self,
        cohorts: &[usize],
        of: impl Fn(&TopicId) -> bool,
        without: impl Fn(usize) -> u64,
    ) -> f64 {
        let mut deliveries = 0.0;
        for (load, publishes) in self.plan.loads.iter().zip(&self.publishes) {
            let fed = load.command.topics();
            for index in cohorts {
                let cohort = &self.plan.fleet.cohorts[*index];
                let topics = cohort.topics.iter().filter(|topic| fed.contains(topic) && of(topic));
                let topics = topics.count();
                let clients = u64::from(cohort.clients).saturating_sub(without(*index));
                deliveries += (*publishes * clients * topics as u64) as f64 * self.there[*index];
            }
        }
        deliveries
    }

    /// Whether what others write gives these cohorts samples: it does not say when it was published.
    fn of_others(&self, metric: MetricId, cohorts: &[usize]) -> bool {
        let streams = |index: &usize| self.plan.fleet.cohorts[*index].topics.iter().any(is_stream);
        match metric {
            MetricId::Violations => true,
            MetricId::DeliverySpread => cohorts.iter().any(streams),
            _ => false,
        }
    }

    /// Events that at least two clients get, for each surface of theirs among these cohorts.
    fn spreads(&self, cohorts: &[usize]) -> f64 {
        let mut spreads = 0;
        for (load, publishes) in self.plan.loads.iter().zip(&self.publishes) {
            let fed = load.command.topics();
            let subscribes = |cohort: &&Cohort| {
                cohort.topics.iter().any(|topic| fed.contains(topic) && is_stream(topic))
            };
            let all = self.plan.fleet.cohorts.iter().filter(subscribes);
            let clients: u64 = all.map(|cohort| u64::from(cohort.clients)).sum();
            let chosen = cohorts.iter().map(|index| &self.plan.fleet.cohorts[*index]);
            let surfaces: BTreeSet<_> =
                chosen.filter(subscribes).map(|cohort| cohort.surface).collect();
            spreads += if clients > 1 { *publishes * surfaces.len() as u64 } else { 0 };
        }
        spreads as f64
    }

    fn heartbeats(&self, cohorts: &[usize]) -> f64 {
        let of_cohort = |index: usize| {
            let cohort = &self.plan.fleet.cohorts[index];
            let interval_us = micros(cohort.heartbeat).max(1);
            let each: u64 =
                self.windows.iter().map(|w| (w.end_us - w.start_us) / interval_us).sum();
            each as f64 * f64::from(cohort.clients) * self.there[index]
        };
        cohorts.iter().map(|index| of_cohort(*index)).sum()
    }
}

/// Per cohort, the share of its clients that is there in the mean over some phases.
fn there(plan: &Plan, schedule: &Schedule, windows: &[&PhaseWindow]) -> Vec<f64> {
    let all_us: u64 = windows.iter().map(|window| window.end_us - window.start_us).sum();
    if plan.fleet.stages.is_empty() || all_us == 0 {
        return vec![1.0; plan.fleet.cohorts.len()];
    }
    let mut there_us = vec![0.0; plan.fleet.cohorts.len()];
    for arrival in &schedule.arrivals {
        let leaves_us = arrival.leaves_us.unwrap_or(u64::MAX);
        let within = windows.iter().map(|window| {
            let (from, to) = (arrival.at_us.max(window.start_us), leaves_us.min(window.end_us));
            to.saturating_sub(from)
        });
        there_us[usize::from(arrival.cohort)] += within.sum::<u64>() as f64;
    }
    let clients = plan.fleet.cohorts.iter().map(|cohort| f64::from(cohort.clients.max(1)));
    there_us.into_iter().zip(clients).map(|(us, clients)| us / clients / all_us as f64).collect()
}

/// Only an event of a stream says when it was published; of a state, versions may be skipped.
fn is_stream(topic: &TopicId) -> bool {
    topic.kind() == TopicKind::Stream
}

/// The clients that a fault hits.
pub(super) fn hit<'a>(
    schedule: &'a Schedule,
    fault: &'a PlannedFault,
) -> Box<dyn Iterator<Item = u32> + 'a> {
    if fault.kind.hits_everybody() {
        let there = schedule.arrivals.iter().filter(|arrival| arrival.is_there(fault.at_us));
        return Box::new(there.map(|arrival| arrival.client));
    }
    Box::new(fault.targets.iter().copied())
}

/// When the clients of a fault that cuts them off may come back, their back-off aside; `None` for a
/// fault that cuts nobody off.
fn back(fault: &PlannedFault) -> Option<u64> {
    Some(fault.at_us + micros(fault.kind.away()?))
}

/// When the clients that a fault cut off or unsubscribed have come back, at their first attempt.
pub(crate) fn returned(plan: &Plan, fault: &PlannedFault) -> Option<u64> {
    if let Some(left_for) = fault.kind.topics_left_for() {
        return Some(fault.at_us + fault.spread_us.unwrap_or(0) + micros(left_for));
    }
    // Of one client for all: what jitter adds hardly moves the count.
    let first = plan.fleet.cohorts.iter().map(|cohort| cohort.backoff.delay(plan.seed, 0, 1));
    Some(back(fault)? + micros(first.max().unwrap_or_default()))
}

/// Whether clients of a fault fetch a snapshot of a topic at their return, because the plan makes
/// their cursor stale or prunes the topic while they are away.
fn stale(plan: &Plan, schedule: &Schedule, fault: &PlannedFault, topic: TopicId) -> bool {
    let Some(resume) = fault.kind.resumes() else { return false };
    if plan.target.snapshot == SnapshotPath::Reset || topic.known().snapshot_cadence_s.is_none() {
        return false;
    }
    let away = fault.at_us..back(fault).unwrap_or(fault.at_us);
    let mut others = schedule.faults.iter();
    let pruned = others.any(|other| other.kind.prunes(topic) && away.contains(&other.at_us));
    match resume {
        Resume::BelowFloor | Resume::BeyondBudget => true,
        Resume::Kept => pruned,
        Resume::AtFloor | Resume::AtBudget => false,
    }
}
