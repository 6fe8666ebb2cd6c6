//! Claims whose verdict is known from the plan alone: no target keeps them, or none can break them.
//!
//! | metric | what the plan imposes |
//! | --- | --- |
//! | `time_to_recovered` | a client stays away as long as its fault says, and then waits out its first back-off; of a half-open cut it knows at its second heartbeat after it, and a target that stands still by plan answers nobody |
//! | `reconnect_attempts` | who is cut off needs one attempt |
//! | `peak_connects_per_s` | connects that are due within a second: half of them at the least fall into one of the two seconds of the clock that it touches |
//! | `unrecovered_clients`, `publish_errors` | no more than there are cuts, and publishes |
//! | `heartbeat_timeouts` | no more than there are heartbeats |
//! | percentiles of occasions | an interval without a lower end breaks no claim: see [`power::samples_to_fail`] |

use std::time::Duration;

use super::samples::{Expected, hit};
use crate::gate::power;
use crate::metric::{Clustering, MetricId};
use crate::model::{Claim, Cohort, Comparison, Estimator, Objective, Plan};
use crate::schedule::{PlannedFault, Schedule};
use crate::surface::Surface;
use crate::units::{format_count, format_duration, micros};

/// What is known of a claim before anything is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foregone {
    /// No target keeps it; why, and the least bound that one can.
    NeverPasses(Why),
    /// A target that answers in no time may keep it or not: how the clients' heartbeats fall decides. Why, and
    /// the least bound that every such target keeps.
    MayNotPass(Why),
    /// It is the claim of `warn` that no target keeps.
    AlwaysWarns(Why),
    /// No target breaks it; why, and what would make it one that says something.
    NeverFails(Why),
}

/// Why, in a clause, and what mends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Why.
    pub why: String,
    /// What to write or do instead.
    pub mend: String,
}

impl Foregone {
    /// What it comes to, of which claim.
    #[must_use]
    pub fn says(&self) -> &'static str {
        match self {
            Self::NeverPasses(_) => "no target can keep the bound",
            Self::MayNotPass(_) => "no target can be sure to keep the bound",
            Self::AlwaysWarns(_) => "no target can keep the bound of `warn`",
            Self::NeverFails(_) => "no target can break the bound",
        }
    }

    /// Why, and what mends it.
    #[must_use]
    pub fn why(&self) -> &Why {
        match self {
            Self::NeverPasses(why)
            | Self::MayNotPass(why)
            | Self::AlwaysWarns(why)
            | Self::NeverFails(why) => why,
        }
    }
}

/// A claim that no target keeps, or that none is sure to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeverKept {
    /// Why, and the least bound that one can keep.
    pub why: Why,
    /// Whether none keeps it, however the clients' heartbeats fall.
    pub for_sure: bool,
    /// What a target that answers at once would be measured at: the client and the value of each planned cut,
    /// in the metric's unit. Empty of a count of connects.
    pub at_best: Vec<(u32, u64)>,
}

/// Why no target keeps, or is sure to keep, what an objective requires of a surface (`None`: of all). A run may fall short of
/// its plan: `missed` says how many of its clients a fault did not hit.
#[must_use]
pub fn never_kept(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
    surface: Option<Surface>,
    missed: &dyn Fn(&PlannedFault) -> u64,
) -> Option<NeverKept> {
    let case = Case { plan, schedule, objective, surface, missed, noticed: Noticed::Soonest };
    let late = Case { noticed: Noticed::Latest, ..case };
    let of = |case: &Case<'_>| case.never_kept(&objective.require);
    let (why, case) = match of(&case) {
        Some(why) => (why, case),
        None => (of(&late)?, late),
    };
    let floors = case.floors().into_iter();
    let at_best = match objective.metric {
        MetricId::TimeToRecovered => floors.map(|floor| (floor.client, floor.us)).collect(),
        MetricId::ReconnectAttempts => floors.map(|floor| (floor.client, 1)).collect(),
        _ => Vec::new(),
    };
    Some(NeverKept { why, for_sure: case.noticed == Noticed::Soonest, at_best })
}

/// What is known of an objective on a surface, of which so much evidence is expected; without any, nothing.
pub(super) fn foregone(
    plan: &Plan,
    schedule: &Schedule,
    objective: &Objective,
    surface: Option<&str>,
    expected: Expected,
) -> Option<Foregone> {
    if expected.is_no_sample() {
        return None;
    }
    let surface = surface.and_then(Surface::of);
    let noticed = Noticed::Soonest;
    let case = Case { plan, schedule, objective, surface, missed: &|_| 0, noticed };
    let late = Case { noticed: Noticed::Latest, ..case };
    let warns = || objective.warn.as_ref().and_then(|warn| case.never_kept(warn));
    let required = case.never_kept(&objective.require).map(Foregone::NeverPasses);
    required
        .or_else(|| late.never_kept(&objective.require).map(Foregone::MayNotPass))
        .or_else(|| case.never_broken(&objective.require, expected).map(Foregone::NeverFails))
        .or_else(|| warns().map(Foregone::AlwaysWarns))
}

/// When clients are taken to know of a cut that nobody tells them of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Noticed {
    /// As soon as it can be.
    Soonest,
    /// As late as it can be.
    Latest,
}

/// One verdict of an objective.
#[derive(Clone, Copy)]
struct Case<'a> {
    plan: &'a Plan,
    schedule: &'a Schedule,
    objective: &'a Objective,
    surface: Option<Surface>,
    /// How many of its clients a fault does not hit.
    missed: &'a dyn Fn(&PlannedFault) -> u64,
    /// When clients know of a cut.
    noticed: Noticed,
}

/// The least time until a client can be back, and of what it is made.
struct Floor<'a> {
    client: u32,
    us: u64,
    fault: &'a PlannedFault,
    /// Until it knows that it was cut off.
    notices: Duration,
    back_off: Duration,
    /// The fault by which the target answers nobody when the client comes.
    silence: Option<&'a PlannedFault>,
}

impl Case<'_> {
    fn never_kept(&self, claim: &Claim) -> Option<Why> {
        match self.objective.metric {
            MetricId::TimeToRecovered => self.too_soon(claim),
            MetricId::ReconnectAttempts if !holds_of(claim, 1.0) && !self.floors().is_empty() => {
                Some(Why {
                    why: "who is cut off needs one attempt to come back".to_owned(),
                    mend: "the least bound that can be kept is `<= 1`".to_owned(),
                })
            }
            MetricId::PeakConnects => {
                let planned = self.busiest_second();
                let least = planned.div_ceil(2);
                (!holds_of(claim, least as f64)).then(|| Why {
                    why: format!(
                        "by plan {} connects fall due within one second, so {} of them at least into one \
                         second of the clock",
                        format_count(planned),
                        format_count(least)
                    ),
                    mend: format!(
                        "allow {} or more, or spread the arrivals (`fleet.ramp`, a fault's `spread`)",
                        format_count(planned)
                    ),
                })
            }
            _ => None,
        }
    }

    fn never_broken(&self, claim: &Claim, expected: Expected) -> Option<Why> {
        if let Estimator::Percentile(q) = claim.estimator {
            return self.no_lower_end(q, expected);
        }
        let whole_s = self.seconds();
        let beats = |cohort: &Cohort| {
            let each = (whole_s / cohort.heartbeat.as_secs_f64().max(1e-6)).floor() + 1.0;
            each * f64::from(cohort.clients)
        };
        let (most, of) = match (self.objective.metric, expected) {
            (MetricId::Unrecovered, Expected::Samples(cuts)) => (cuts, "cuts"),
            (MetricId::PublishErrors, Expected::Samples(publishes)) => (publishes, "publishes"),
            (MetricId::HeartbeatTimeouts, _) => (self.cohorts().map(beats).sum(), "heartbeats"),
            _ => return None,
        };
        let (figure, unit) = match claim.estimator {
            Estimator::Count => (most, ""),
            Estimator::Rate if whole_s > 0.0 => (most / whole_s, " a second"),
            _ => return None,
        };
        holds_of(claim, figure).then(|| Why {
            why: format!(
                "these phases have {} {of} at most{}",
                format_count(most as u64),
                if unit.is_empty() { String::new() } else { format!(", {figure:.2}{unit}") }
            ),
            mend: "lower the bound: as it is, the objective says nothing".to_owned(),
        })
    }

    /// A bound below what the faults themselves take from a client until its first attempt.
    fn too_soon(&self, claim: &Claim) -> Option<Why> {
        let mut floors = self.floors();
        floors.sort_by_key(|floor| floor.us);
        let index = match claim.estimator {
            // As the judge takes it: the least value that a share q/100 of them does not exceed.
            Estimator::Percentile(q) => (q / 100.0 * floors.len() as f64 - 1e-9).ceil() as usize,
            Estimator::Max => floors.len(),
            _ => return None,
        };
        let floor = floors.get(index.max(1) - 1)?;
        // Nobody connects in no time.
        if claim.bound > floor.us as f64 {
            return None;
        }
        let at = format_duration(Duration::from_micros(floor.fault.at_us));
        let least = whole_ms(Duration::from_micros(floor.us));
        Some(Why {
            why: format!(
                "the time runs from the cut, and the plan itself {} {least} of it: `{}` at {at} of the run, {}",
                if self.noticed == Noticed::Latest { "may take" } else { "takes" },
                floor.fault.kind.name(),
                self.parts(floor)
            ),
            mend: format!("bound it above {least}, by what connect and replay may take"),
        })
    }

    /// Of what the least time until a client is back is made.
    fn parts(&self, floor: &Floor<'_>) -> String {
        let away = floor.fault.kind.away().unwrap_or_default();
        if let Some(silence) = floor.silence {
            let to = Duration::from_micros(silence.at_us + silence.duration_us.unwrap_or_default());
            return format!("and `{}` until {}", silence.kind.name(), format_duration(to));
        }
        if floor.us > micros(away + floor.notices + floor.back_off) {
            return "connects held down by target.connect_rate_max".to_owned();
        }
        let beat = match self.noticed {
            Noticed::Soonest => "an interval of heartbeats at the least",
            Noticed::Latest => "two intervals of heartbeats at the most",
        };
        let (notices, back_off) = (format_duration(floor.notices), whole_ms(floor.back_off));
        let parts = [
            (floor.notices, format!("{notices} until clients notice ({beat})")),
            (away, format!("{} away", format_duration(away))),
            (floor.back_off, format!("{back_off} until the first attempt to connect (back-off)")),
        ];
        let parts = parts.into_iter().filter(|(time, _)| !time.is_zero()).map(|(_, told)| told);
        parts.collect::<Vec<_>>().join(", then ")
    }

    fn floors(&self) -> Vec<Floor<'_>> {
        let mut cohort_of = vec![None; self.plan.fleet.clients as usize];
        for arrival in &self.schedule.arrivals {
            if let Some(slot) = cohort_of.get_mut(arrival.client as usize) {
                *slot = self.plan.fleet.cohorts.get(usize::from(arrival.cohort));
            }
        }
        let mut floors = Vec::new();
        for fault in self.schedule.faults.iter().filter(|fault| self.is_during(fault.at_us)) {
            let Some(away) = fault.kind.away() else { continue };
            let mut of_fault = Vec::new();
            for client in hit(self.schedule, fault) {
                let cohort = cohort_of.get(client as usize).copied().flatten();
                let Some(cohort) = cohort.filter(|cohort| self.selects(cohort)) else { continue };
                let back_off = match fault.kind.backs_off() {
                    true => cohort.backoff.delay(self.plan.seed, client, 1),
                    false => Duration::ZERO,
                };
                let (soonest, latest) = fault.kind.noticed_after(cohort.heartbeat);
                let notices = match self.noticed {
                    Noticed::Soonest => soonest,
                    Noticed::Latest => latest,
                };
                let us = micros(notices + away + back_off);
                of_fault.push(Floor { client, us, fault, notices, back_off, silence: None });
            }
            // Whom it missed is not known: those who would have been away longest, at worst.
            of_fault.sort_by_key(|floor| floor.us);
            // The run's own ceiling lets them connect one after another.
            if let Some(per_s) = self.plan.target.connect_rate_max {
                let mut turn = 0.0;
                for floor in &mut of_fault {
                    floor.us = floor.us.max((turn / per_s * 1e6) as u64);
                    turn += 1.0;
                }
            }
            of_fault.iter_mut().for_each(|floor| self.silence(floor));
            of_fault.sort_by_key(|floor| floor.us);
            let missed = usize::try_from((self.missed)(fault)).unwrap_or(usize::MAX);
            of_fault.truncate(of_fault.len().saturating_sub(missed));
            floors.extend(of_fault);
        }
        floors
    }

    /// Who comes while the target answers nobody by plan is not back before that is over.
    fn silence<'f>(&'f self, floor: &mut Floor<'f>) {
        let comes_us = floor.fault.at_us + floor.us;
        let silences = self
            .schedule
            .faults
            .iter()
            .filter(|other| other.kind.silences_the_target() && (self.missed)(other) == 0);
        for silence in silences {
            let ends_us = silence.at_us + silence.duration_us.unwrap_or_default();
            if (silence.at_us..ends_us).contains(&comes_us) {
                floor.us = ends_us - floor.fault.at_us;
                floor.silence = Some(silence);
            }
        }
    }

    /// The most connects that are due within any second: arrivals, and first attempts after planned cuts.
    fn busiest_second(&self) -> u64 {
        let arrivals = self.schedule.arrivals.iter();
        let mut due: Vec<u64> = arrivals.map(|arrival| arrival.at_us).collect();
        let returns = |floor: Floor<'_>| {
            let exact = floor.notices.is_zero() && floor.silence.is_none();
            let exact = exact && floor.fault.spread_us.is_none();
            exact.then_some(floor.fault.at_us + floor.us)
        };
        due.extend(self.floors().into_iter().filter_map(returns));
        due.retain(|at_us| self.is_during(*at_us) && self.is_during(at_us + 2_000_000));
        due.sort_unstable();
        let within = |(first, at_us): (usize, &u64)| {
            due.partition_point(|other| *other < at_us + 1_000_000) - first
        };
        let most = due.iter().enumerate().map(within).max().unwrap_or(0) as u64;
        // No more than the run's own ceiling lets connect.
        let most = self.plan.target.connect_rate_max.map_or(most, |per_s| most.min(per_s as u64));
        let during = self.schedule.faults.iter().filter(|fault| self.is_during(fault.at_us));
        let cuts = during.filter(|fault| fault.kind.away().is_some());
        cuts.fold(most, |most, fault| most.saturating_sub((self.missed)(fault)))
    }

    /// A percentile of occasions, of which there are too few for any interval's lower end.
    fn no_lower_end(&self, q: f64, expected: Expected) -> Option<Why> {
        let Expected::Samples(samples) = expected else { return None };
        if self.objective.metric.clustering() != Clustering::Clients {
            return None;
        }
        let needed = power::samples_to_fail(q);
        // Too few to pass, and that is said already.
        let passes = samples >= self.objective.min_samples as f64;
        (passes && samples < needed as f64).then(|| Why {
            why: format!(
                "the interval of p({q}) has no lower end with {samples:.0} samples ({needed} give it one), and a \
                 claim fails by that end alone"
            ),
            mend: format!("see to {needed} samples or more: more clients, or more cuts"),
        })
    }

    fn seconds(&self) -> f64 {
        let phases = self.schedule.phases.iter();
        let during = phases.filter(|phase| self.objective.during.contains(&phase.name));
        during.map(|phase| (phase.end_us - phase.start_us) as f64 / 1e6).sum()
    }

    fn is_during(&self, at_us: u64) -> bool {
        let phase = &self.schedule.phases[self.schedule.phase_at(at_us)];
        self.objective.during.contains(&phase.name)
    }

    fn cohorts(&self) -> impl Iterator<Item = &Cohort> {
        self.plan.fleet.cohorts.iter().filter(|cohort| self.selects(cohort))
    }

    fn selects(&self, cohort: &Cohort) -> bool {
        self.surface.is_none_or(|surface| cohort.surface == surface)
    }
}

/// Whether a claim holds of a figure.
fn holds_of(claim: &Claim, figure: f64) -> bool {
    match claim.comparison {
        Comparison::Less => figure < claim.bound,
        Comparison::LessOrEqual => figure <= claim.bound,
        Comparison::Equal => false,
    }
}

/// A duration in whole milliseconds, upwards: jitter has microseconds.
fn whole_ms(duration: Duration) -> String {
    format_duration(Duration::from_millis(micros(duration).div_ceil(1_000)))
}

#[cfg(test)]
mod tests;
