//! `bystander_ratio`: the p99 of `delivery` during a fault over that before it, to clients that the
//! harness never makes slow.
//!
//! The interval is a moving-block bootstrap over seconds ([`bootstrap::interval_of_two`]), the two
//! sides resampled apart; its seed follows from the plan's and stands in the reason.

use std::collections::BTreeMap;

use khala_plan::metric::MetricId;
use khala_plan::surface::Surface;

use super::{CONFIDENCE, Case};
use crate::shard::metrics::Distribution;
use crate::stats::bootstrap::{self, Interval};

/// Samples needed on each side: ten beyond the 99th percentile.
pub const SAMPLES_MIN: u64 = 1_000;

/// The two samples and the interval of their ratio, where there is one.
pub struct Ratio {
    /// Samples during the fault.
    pub during: u64,
    /// Samples that they are held against.
    pub against: u64,
    /// Estimate and bounds; `None` with too few samples or seconds.
    pub interval: Option<Interval>,
}

impl Ratio {
    /// Samples of the smaller side.
    pub fn n(&self) -> u64 {
        self.during.min(self.against)
    }

    /// Why there is no interval, or what it was made of.
    pub fn describe(&self, seed: u64) -> String {
        let Self { during, against, interval } = self;
        match interval {
            None if self.n() < SAMPLES_MIN => format!(
                "{during} samples during, {against} before: {SAMPLES_MIN} are needed on each side"
            ),
            None => "too few seconds to draw an interval from".to_owned(),
            Some(Interval { lower, upper, .. }) => format!(
                "95 % bounds {lower:.2} to {upper:.2} from {during} samples during and {against} \
                 before; bootstrap over seconds, seed {seed}"
            ),
        }
    }
}

/// The seed of the bootstrap: the plan's, for this purpose.
pub fn seed(case: &Case<'_>) -> u64 {
    let mut bytes = case.plan.seed.to_le_bytes().to_vec();
    bytes.extend_from_slice(MetricId::BystanderRatio.name().as_bytes());
    khala_wire::canonical::digest64(&bytes)
}

/// Measures phases against others.
pub fn measure(
    case: &Case<'_>,
    during: &[u16],
    against: &[u16],
    surface: Option<Surface>,
) -> Ratio {
    let metrics = &case.settled.metrics;
    let sample = |phases| metrics.distribution(MetricId::Delivery, phases, surface);
    of(&sample(during), &sample(against), seed(case))
}

fn of(during: &Distribution, against: &Distribution, seed: u64) -> Ratio {
    let ratio = Ratio { during: during.len(), against: against.len(), interval: None };
    if ratio.n() < SAMPLES_MIN {
        return ratio;
    }
    // One index for all values of both sides: adding up a resample is then one pass over an array.
    let all = during.clusters.values().chain(against.clusters.values());
    let values: BTreeMap<u64, usize> = {
        let mut values: Vec<u64> =
            all.flat_map(|second| second.iter().map(|(value, _)| value)).collect();
        values.sort_unstable();
        values.dedup();
        values.into_iter().zip(0..).collect()
    };
    let by_rank: Vec<u64> = values.keys().copied().collect();
    let seconds = |side: &Distribution| -> Vec<Vec<(usize, u64)>> {
        let counts = |(value, count): (u64, u32)| Some((*values.get(&value)?, u64::from(count)));
        side.clusters.values().map(|second| second.iter().filter_map(counts).collect()).collect()
    };
    let (during, against) = (seconds(during), seconds(against));
    let shorter = during.len().min(against.len());
    // Each end of a two-sided interval is a one-sided bound at the confidence of all others.
    let plan = bootstrap::Plan::for_len(shorter, 2.0 * CONFIDENCE - 1.0, seed);
    let interval = bootstrap::interval_of_two(&during, &against, plan, |during, against| {
        p99(during, &by_rank) / p99(against, &by_rank)
    });
    Ratio { interval, ..ratio }
}

/// The 99th percentile of some seconds; NaN without a sample.
#[expect(clippy::cast_precision_loss, reason = "microseconds and counts are far below 2^52")]
fn p99(seconds: &[&Vec<(usize, u64)>], by_rank: &[u64]) -> f64 {
    let mut counts = vec![0_u64; by_rank.len()];
    for &(index, count) in seconds.iter().copied().flatten() {
        counts[index] += count;
    }
    let rank = (counts.iter().sum::<u64>() * 99).div_ceil(100).max(1);
    let mut seen = 0;
    for (&count, &value) in counts.iter().zip(by_rank) {
        seen += count;
        if seen >= rank {
            // The smallest time there is: a ratio needs something to divide by.
            return value.max(1) as f64;
        }
    }
    f64::NAN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::metrics::{Key, Metrics};

    /// `per_second` deliveries in each of 60 seconds, of 1 ms to 2 ms times `factor`.
    fn side(per_second: u64, factor: u64) -> Distribution {
        seconds(60, per_second, factor)
    }

    fn seconds(seconds: u64, per_second: u64, factor: u64) -> Distribution {
        let mut metrics = Metrics::default();
        let key = Key { metric: MetricId::Delivery, phase: 0, surface: None };
        for second in 0..seconds {
            for n in 0..per_second {
                let value = (1_000 + (n * 37 + second * 101) % 1_000) * factor;
                metrics.sample(key, 0, second * 1_000_000, value, value);
            }
        }
        metrics.distribution(MetricId::Delivery, &[0], None)
    }

    #[test]
    fn twice_as_slow_is_a_ratio_of_two_and_as_slow_is_one() {
        for (factor, low, high) in [(2, 1.9, 2.1), (1, 0.95, 1.05)] {
            let ratio = of(&side(50, factor), &side(50, 1), 7);
            let interval = ratio.interval.expect("an interval");
            assert!(low < interval.lower && interval.upper < high, "{interval:?}");
            assert_eq!(ratio.interval, of(&side(50, factor), &side(50, 1), 7).interval);
        }
    }

    #[test]
    fn each_side_needs_a_thousand_samples() {
        assert!(of(&side(16, 1), &side(50, 1), 7).interval.is_none());
        let short = of(&side(50, 1), &side(16, 1), 7);
        assert_eq!((short.n(), short.interval), (960, None));
        assert!(of(&side(17, 1), &side(17, 1), 7).interval.is_some());
    }

    #[test]
    fn a_thousand_samples_are_enough_and_what_is_missing_is_said() {
        let exactly = of(&seconds(40, 25, 1), &seconds(40, 25, 1), 7);
        assert_eq!((exactly.n(), exactly.interval.is_some()), (1_000, true));
        let said = exactly.describe(7);
        assert!(said.contains("from 1000 samples during and 1000 before"), "{said}");
        assert!(said.contains("seed 7"), "{said}");
        let few = of(&seconds(39, 25, 1), &seconds(40, 25, 1), 7);
        assert_eq!(
            few.describe(7),
            "975 samples during, 1000 before: 1000 are needed on each side"
        );
        let at_once = of(&seconds(1, 1_000, 1), &seconds(1, 1_000, 1), 7);
        assert_eq!((at_once.n(), at_once.interval), (1_000, None));
        assert_eq!(at_once.describe(7), "too few seconds to draw an interval from");
    }

    #[test]
    fn the_99th_percentile_is_the_smallest_that_99_of_100_do_not_exceed() {
        let by_rank: Vec<u64> = (1..=200).collect();
        let hundred: Vec<_> = (0..100).map(|index| (index, 1)).collect();
        assert_eq!(p99(&[&hundred], &by_rank), 99.0);
        let both: Vec<_> = (100..200).map(|index| (index, 1)).collect();
        assert_eq!(p99(&[&hundred, &both], &by_rank), 198.0);
        assert_eq!(p99(&[&vec![(4, 7)]], &by_rank), 5.0);
        assert_eq!(p99(&[&vec![(0, 99), (1, 1)]], &by_rank), 1.0);
        assert!(p99(&[], &[]).is_nan());
    }
}
