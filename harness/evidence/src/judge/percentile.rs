//! `p(q)`: the interval of the percentile that was measured in an objective's phases, and the *reach*,
//! what the run says of other times.
//!
//! Metrics that flow all the time are resampled by seconds, those of occasions by groups of clients
//! ([`Clustering`]); the interval is that of [`crate::stats::quantile`], its seed follows from the plan's. The
//! reach is exact: with k of n seconds worse than the claim, at most the Clopper-Pearson bound of all
//! seconds are ([`crate::stats::binomial`]; 1 − 0.05^(1/n) for k = 0), if one says as much as another.

use std::collections::BTreeMap;
use std::time::Duration;

use khala_plan::gate::power::SECONDS_MIN;
use khala_plan::metric::{Clustering, MetricId, MetricKind};
use khala_plan::model::Claim;
use khala_plan::units::format_share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONFIDENCE, Case, Verdict, estimate};
use crate::hist::{HIGHEST_US, bucket};
use crate::render::units;
use crate::shard::metrics::Distribution;
use crate::stats::quantile::{self, Interval, Units};

/// The share of seconds for which a reach says how many would be needed, where a gate asks for none.
const USUAL_REACH: f64 = 0.01;
/// A run longer than this is no advice.
const ADVISABLE: Duration = Duration::from_secs(86_400);

/// What the measured seconds say of other times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reach {
    /// Seconds with samples.
    pub seconds: u64,
    /// Of them, those in which the claim did not hold by itself.
    pub worse: u64,
    /// The share of seconds that may be worse, with 95 % confidence at most.
    pub share: f64,
    /// The share that the gate allows, if it asks.
    pub asked: Option<f64>,
    /// Seconds that would show the share asked for (1 % where none is), if no further one were worse.
    pub seconds_needed: Option<u64>,
}

/// What an interval was drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resampled {
    /// Whether the units are seconds; else they are groups of clients.
    pub seconds: bool,
    /// Units with samples.
    pub units: u64,
    /// Units in a block.
    pub block_len: u64,
    /// Resamples.
    pub resamples: u64,
    /// Seed of ChaCha8.
    pub seed: u64,
}

/// What a sample says of a claim about one of its percentiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Percentile {
    metric: MetricId,
    q: f64,
    /// Samples.
    pub n: u64,
    /// Samples that break the claim.
    pub bad: u64,
    /// Of them, those that had not ended when they had to.
    never: u64,
    /// Seconds or groups of clients with samples.
    units: u64,
    /// The verdict, what a gate asks of the reach aside.
    pub verdict: Verdict,
    /// The percentile itself; `None` without a sample.
    pub estimate: Option<u64>,
    /// Its interval, where there is one.
    pub interval: Option<Interval>,
    seed: u64,
    threshold: u64,
    /// What is said of other times; `None` of occasions, which have no other times.
    pub reach: Option<Reach>,
}

/// The seed of an objective's bootstrap: the plan's, for this purpose.
pub fn seed(case: &Case<'_>, metric: MetricId, selector: &str) -> u64 {
    let mut bytes = case.plan.seed.to_le_bytes().to_vec();
    bytes.extend_from_slice(metric.name().as_bytes());
    bytes.extend_from_slice(selector.as_bytes());
    khala_wire::canonical::digest64(&bytes)
}

/// Measures a claim about the `q`-th percentile, `q` in percent. `asked`: the share of seconds that may
/// be worse.
pub fn measure(
    sample: &Distribution,
    metric: MetricId,
    q: f64,
    claim: &Claim,
    asked: Option<f64>,
    seed: u64,
) -> Percentile {
    let threshold = bucket(estimate::threshold(claim.comparison, claim.bound));
    let units: Vec<BTreeMap<u64, u64>> = sample
        .clusters
        .values()
        .filter(|cluster| !cluster.is_empty())
        .map(|cluster| {
            let ended = cluster.iter().map(|(value, count)| (value, u64::from(count)));
            let mut unit: BTreeMap<u64, u64> = ended.collect();
            if cluster.censored() > 0 {
                // Beyond every bound.
                *unit.entry(bucket(HIGHEST_US)).or_default() += cluster.censored();
            }
            unit
        })
        .collect();
    let kind = match metric.clustering() {
        Clustering::Seconds => Units::Series,
        Clustering::Clients => Units::Groups,
    };
    let interval = quantile::interval(&units, kind, q / 100.0, seed);
    let count = units.len() as u64;
    let enough = kind == Units::Groups || count >= SECONDS_MIN;
    let verdict = match &interval {
        Some(interval) if enough => of_interval(interval, threshold),
        _ => Verdict::Inconclusive,
    };
    let never = sample.censored();
    let interval = interval.map(|interval| told(interval, never, sample));
    let worse = |unit: &&BTreeMap<u64, u64>| {
        let all: u64 = unit.values().sum();
        let beyond: u64 = unit.range(threshold..).map(|(_, &count)| count).sum();
        beyond > quantile::allowed(all, q / 100.0)
    };
    let reach = (kind == Units::Series && count > 0)
        .then(|| reach(count, units.iter().filter(worse).count() as u64, asked));
    Percentile {
        metric,
        q,
        n: sample.len(),
        bad: estimate::exceeding(sample, claim.comparison, claim.bound),
        never,
        units: count,
        verdict,
        // What never ended has no length.
        estimate: quantile::estimate(&units, q / 100.0)
            .filter(|estimate| never == 0 || bucket(*estimate) < bucket(HIGHEST_US)),
        interval,
        seed,
        threshold,
        reach,
    }
}

/// An interval as it can be told: what never ended has no length, so that an end beyond all that did end is
/// no figure of anything.
fn told(interval: Interval, never: u64, sample: &Distribution) -> Interval {
    if never == 0 {
        return interval;
    }
    let ended = sample.clusters.values().flat_map(|cluster| cluster.iter().map(|(value, _)| value));
    let longest = ended.max().unwrap_or_default();
    let upper = interval.upper.filter(|&upper| bucket(upper) <= longest);
    Interval { lower: interval.lower.min(longest), upper, ..interval }
}

fn of_interval(interval: &Interval, threshold: u64) -> Verdict {
    if interval.upper.is_some_and(|upper| bucket(upper) < threshold) {
        Verdict::Pass
    } else if bucket(interval.lower) >= threshold {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds are far below 2^52")]
fn reach(seconds: u64, worse: u64, asked: Option<f64>) -> Reach {
    use crate::stats::binomial::{min_n_for_claim, upper};
    let share = upper(worse as f64, seconds as f64, CONFIDENCE).unwrap_or(1.0);
    let seconds_needed = min_n_for_claim(asked.unwrap_or(USUAL_REACH), CONFIDENCE, worse);
    Reach { seconds, worse, share, asked, seconds_needed }
}

impl Reach {
    /// Whether it is as far as the gate asks.
    pub fn suffices(&self) -> bool {
        self.asked.is_none_or(|asked| self.share <= asked * (1.0 + 1e-9))
    }
}

impl std::fmt::Display for Reach {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seconds, worse, share, asked, seconds_needed } = *self;
        match worse {
            0 => write!(f, "{seconds} clean seconds")?,
            _ => write!(f, "{worse} of {seconds} seconds worse")?,
        }
        write!(f, ": up to {:.1} % of seconds may be worse", share * 100.0)?;
        let wanted = asked.unwrap_or(USUAL_REACH);
        match seconds_needed {
            Some(needed) if needed > seconds => {
                write!(f, "; {needed} s for {}", format_share(wanted))
            }
            _ => Ok(()),
        }
    }
}

impl Percentile {
    /// What the interval was drawn from.
    pub fn resampled(&self) -> Option<Resampled> {
        let interval = self.interval.as_ref()?;
        Some(Resampled {
            seconds: self.reach.is_some(),
            units: self.units,
            block_len: interval.block_len as u64,
            resamples: quantile::RESAMPLES as u64,
            seed: self.seed,
        })
    }

    /// The figures behind the verdict, in a sentence.
    pub fn describe(&self) -> String {
        let Self { n, bad, q, units, .. } = self;
        let figure = match self.estimate {
            None if *n == 0 => return "there is not a single sample".to_owned(),
            None => format!("has no value: {}", self.not_ended()),
            Some(estimate) => format!("is {}", self.figure(estimate)),
        };
        let first = format!("{bad} of {n} samples break it; p({q}) {figure}");
        let whose = if self.reach.is_some() { "seconds" } else { "groups of clients" };
        let Some(interval) = &self.interval else {
            return format!("{first}; {units} {whose} are too few to draw an interval from");
        };
        let upper = interval.upper.map_or_else(
            || match self.never {
                0 => "no upper bound from so few samples".to_owned(),
                _ => format!("no upper bound ({})", self.not_ended()),
            },
            |upper| self.figure(upper),
        );
        let blocks = match interval.block_len {
            1 => String::new(),
            len => format!(" in blocks of {len}"),
        };
        format!(
            "{first}, 95 % interval {} to {upper}, from {units} {whose}{blocks}",
            self.figure(interval.lower)
        )
    }

    /// Whose samples had no end when they had to, and how many those are.
    fn not_ended(&self) -> String {
        let Self { never, n, .. } = self;
        match self.metric {
            MetricId::TimeToRecovered | MetricId::ReconnectAttempts => format!(
                "in {never} of {n} cases a client was not up to date again when the phase of its disturbance ended"
            ),
            MetricId::Publish => format!("{never} of {n} commands had no answer in time"),
            _ => format!("{never} of {n} had not ended when they had to"),
        }
    }

    fn figure(&self, value: u64) -> String {
        match self.metric.kind() {
            MetricKind::Latency => units::duration(value),
            _ => units::count(value),
        }
    }

    /// How much more would decide what is undecided, if it went on as it went; nothing without a sample.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts and microseconds are far below 2^52, and what is not advisable is left out"
    )]
    pub fn more(&self, samples_min: u64) -> Option<String> {
        let (n, units) = (self.n as f64, self.units as f64);
        if self.n == 0 {
            return None;
        }
        let seconds = self.reach.is_some();
        let mut factor = samples_min as f64 / n;
        if seconds {
            factor = factor.max(SECONDS_MIN as f64 / units);
        }
        if let (Some(interval), Some(estimate), Verdict::Inconclusive) =
            (&self.interval, self.estimate, self.verdict)
            && factor <= 1.0
        {
            if self.never > 0 && interval.upper.is_none() {
                // How long those take that never ended no further sample tells.
                return None;
            }
            let ln = |value: u64| (value as f64).ln_1p();
            let away = (ln(self.threshold) - ln(estimate)).abs();
            let end = if estimate < self.threshold {
                interval.upper.unwrap_or(estimate)
            } else {
                interval.lower
            };
            // The ends come nearer as the root of the sample grows.
            factor = ((ln(end) - ln(estimate)) / away).powi(2).max(1.0);
        }
        let all = if seconds { units } else { n };
        let more = (all * (factor - 1.0)).ceil().max(1.0);
        let limit = if seconds { ADVISABLE.as_secs_f64() } else { 1e9 };
        if !more.is_finite() || more > limit {
            return Some("it lies at the bound, and no longer run decides it".to_owned());
        }
        let (one, many) =
            if seconds { ("more second", "more seconds") } else { ("more sample", "more samples") };
        let more = units::counted(more as u64, one, many);
        Some(format!("about {more} like these would decide"))
    }
}

#[cfg(test)]
mod tests;
