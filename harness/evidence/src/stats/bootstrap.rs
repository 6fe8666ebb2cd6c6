//! Moving-block bootstrap: an interval for any statistic of a time series.
//!
//! For statistics that have no exact bound, such as the ratio of two percentiles. Neighbouring
//! seconds resemble one another, so blocks of them are drawn, not seconds.
//!
//! Sources: H. R. Künsch, "The jackknife and the bootstrap for general stationary observations",
//! Annals of Statistics 17 (1989), for the scheme; P. Hall, J. L. Horowitz and B.-Y. Jing, "On
//! blocking rules for the bootstrap with dependent data", Biometrika 82 (1995), for blocks that
//! grow as n^(1/3); A. C. Davison and D. V. Hinkley, "Bootstrap Methods and their Application"
//! (1997), 5.3.1, for the percentile interval's ranks, (B + 1) α.
//!
//! Must never draw from anything but the seed it is given: who has the seed and the series has
//! the interval.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::is_confidence;

/// How to resample. All of it belongs into the report beside the interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// Length of a block, in elements of the series; at least 1.
    pub block_len: usize,
    /// Resamples drawn; 999 or 1999 make whole ranks of the usual confidences.
    pub resamples: usize,
    /// Two-sided confidence: each end alone is a one-sided bound at `0.5 + confidence / 2`.
    pub confidence: f64,
    /// Seed of ChaCha8.
    pub seed: u64,
}

impl Plan {
    /// The usual plan for a series of `len`: blocks of ⌈len^(1/3)⌉, 1999 resamples.
    #[must_use]
    pub fn for_len(len: usize, confidence: f64, seed: u64) -> Self {
        let block_len = ((len as f64).cbrt() - 1e-9).ceil().max(1.0) as usize;
        Self { block_len, resamples: 1999, confidence, seed }
    }
}

/// A percentile interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The statistic of the series itself.
    pub estimate: f64,
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// Interval of a statistic of one series, in the order of time.
///
/// `None` when the series has fewer than two blocks (one block has nothing to be exchanged with),
/// when there are too few resamples for the confidence, when the plan is not one, or when the
/// statistic is not finite for the series itself or for so many resamples that an end of the
/// interval is not a number. A single resample whose statistic is NaN could have been anything and
/// counts as below the lower and above the upper end.
#[must_use]
pub fn interval<T>(series: &[T], plan: Plan, statistic: impl Fn(&[&T]) -> f64) -> Option<Interval> {
    percentile(plan, &[series.len()], statistic(&all(series)), |rng| {
        statistic(&resample(series, plan.block_len, rng))
    })
}

/// Interval of a statistic of two series that are resampled apart, such as a ratio of after to
/// before.
///
/// `None` as in [`interval`], of either series.
#[must_use]
pub fn interval_of_two<A, B>(
    first: &[A],
    second: &[B],
    plan: Plan,
    statistic: impl Fn(&[&A], &[&B]) -> f64,
) -> Option<Interval> {
    let estimate = statistic(&all(first), &all(second));
    percentile(plan, &[first.len(), second.len()], estimate, |rng| {
        let first = resample(first, plan.block_len, rng);
        let second = resample(second, plan.block_len, rng);
        statistic(&first, &second)
    })
}

fn percentile(
    plan: Plan,
    lens: &[usize],
    estimate: f64,
    mut draw: impl FnMut(&mut ChaCha8Rng) -> f64,
) -> Option<Interval> {
    if plan.block_len == 0 || !is_confidence(plan.confidence) || !estimate.is_finite() {
        return None;
    }
    if lens.iter().any(|&len| len / plan.block_len < 2) {
        return None;
    }
    let tail = (plan.resamples as f64 + 1.0) * (0.5 - plan.confidence / 2.0);
    // Down to a whole rank: the interval errs on the wide side. The nudge is for products such as
    // 1000 * 0.025 that are whole but for the last bit.
    let rank = (tail + 1e-9).floor() as usize;
    if rank == 0 {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let drawn: Vec<f64> = (0..plan.resamples).map(|_| draw(&mut rng)).collect();
    let lower = nth(&drawn, rank - 1, f64::NEG_INFINITY);
    let upper = nth(&drawn, plan.resamples - rank, f64::INFINITY);
    (lower.is_finite() && upper.is_finite()).then_some(Interval { estimate, lower, upper })
}

/// The element at `index` in ascending order, NaN counting as `nan`.
fn nth(values: &[f64], index: usize, nan: f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(|&v| if v.is_nan() { nan } else { v }).collect();
    *values.select_nth_unstable_by(index, f64::total_cmp).1
}

fn all<T>(series: &[T]) -> Vec<&T> {
    series.iter().collect()
}

/// As many elements as the series has, in whole blocks from random starts; the last block is cut.
fn resample<'a, T>(series: &'a [T], block_len: usize, rng: &mut ChaCha8Rng) -> Vec<&'a T> {
    let mut drawn = Vec::with_capacity(series.len() + block_len);
    while drawn.len() < series.len() {
        let start = rng.random_range(0..=series.len() - block_len);
        drawn.extend(&series[start..start + block_len]);
    }
    drawn.truncate(series.len());
    drawn
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    fn mean(values: &[&f64]) -> f64 {
        values.iter().copied().sum::<f64>() / values.len() as f64
    }

    /// First-order autoregression with uniform innovations of variance 1.
    fn series(len: usize, phi: f64, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let half = 3.0_f64.sqrt();
        let mut last = 0.0;
        (0..len + 50)
            .map(|_| {
                last = phi * last + rng.random_range(-half..half);
                last
            })
            .skip(50)
            .collect()
    }

    #[test]
    fn a_resample_is_made_of_whole_blocks_but_for_its_end() {
        let numbers: Vec<usize> = (0..103).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen_first_and_last = (false, false);
        for _ in 0..200 {
            let drawn = resample(&numbers, 10, &mut rng);
            assert_eq!(drawn.len(), 103);
            for block in drawn.chunks(10) {
                assert!(block.windows(2).all(|pair| *pair[1] == pair[0] + 1), "{block:?}");
            }
            seen_first_and_last.0 |= drawn.contains(&&0);
            seen_first_and_last.1 |= drawn.contains(&&102);
        }
        assert_eq!(seen_first_and_last, (true, true), "every start can be drawn");
    }

    #[test]
    fn the_seed_decides_the_interval() {
        let values = series(200, 0.5, 7);
        let with = |seed| interval(&values, Plan::for_len(200, 0.9, seed), mean);
        assert_eq!(with(3), with(3));
        assert_ne!(with(3), with(4));
        // Pinned, so that a change of the generator or of how it is drawn from is noticed: a
        // recorded seed would no longer reproduce a report.
        let got = with(3).expect("an interval");
        assert_close(got.lower, -0.163_004_776_620_472_1, 1e-12);
        assert_close(got.upper, 0.259_690_972_485_381_3, 1e-12);
    }

    #[test]
    fn on_independent_data_the_interval_is_the_textbooks() {
        // 1.96 s / √n, with s and n of this sample; the bootstrap's own noise is some 2 %.
        let values = series(400, 0.0, 11);
        let m = mean(&values.iter().collect::<Vec<_>>());
        let variance = values.iter().map(|v| (v - m).powi(2)).sum::<f64>() / 400.0;
        let plan = Plan { block_len: 1, resamples: 3999, confidence: 0.95, seed: 5 };
        let got = interval(&values, plan, mean).expect("an interval");
        assert_close(got.estimate, m, 1e-12);
        assert_close(got.upper - got.lower, 2.0 * 1.96 * (variance / 400.0).sqrt(), 0.06);
    }

    #[test]
    fn blocks_cover_where_single_draws_do_not() {
        // 200 series with autocorrelation 0.6, true mean 0, nominal 90 %.
        let covered = |block_len: usize| {
            (0..200_u64)
                .filter(|&i| {
                    let plan = Plan { block_len, resamples: 199, confidence: 0.9, seed: i };
                    let got =
                        interval(&series(300, 0.6, 1000 + i), plan, mean).expect("an interval");
                    got.lower <= 0.0 && 0.0 <= got.upper
                })
                .count()
        };
        let (single, blocks) = (covered(1), covered(15));
        assert!(single < 140, "single draws cover {single} of 200");
        assert!(blocks > 160, "blocks cover {blocks} of 200");
    }

    #[test]
    fn two_series_are_resampled_apart() {
        let (before, after) = (series(120, 0.3, 1), series(60, 0.3, 2));
        let shifted: Vec<f64> = after.iter().map(|v| v + 40.0).collect();
        let base: Vec<f64> = before.iter().map(|v| v + 20.0).collect();
        let plan = Plan::for_len(60, 0.9, 9);
        let got = interval_of_two(&base, &shifted, plan, |a, b| mean(b) / mean(a));
        let got = got.expect("an interval");
        assert!((1.95..2.05).contains(&got.estimate), "{got:?}");
        assert!(got.lower < got.estimate && got.estimate < got.upper, "{got:?}");
        assert_eq!(interval_of_two(&base, &shifted[..3], plan, |a, b| mean(b) / mean(a)), None);
    }

    #[test]
    fn blocks_grow_as_the_cube_root() {
        let len = |n| Plan::for_len(n, 0.9, 0).block_len;
        assert_eq!((len(0), len(1), len(27), len(28), len(600), len(1000)), (1, 1, 3, 4, 9, 10));
    }

    #[test]
    fn what_cannot_be_resampled_has_no_interval() {
        let values = series(30, 0.0, 3);
        let good = Plan { block_len: 3, resamples: 199, confidence: 0.9, seed: 1 };
        assert!(interval(&values, good, mean).is_some());
        for bad in [
            Plan { block_len: 0, ..good },
            Plan { block_len: 16, ..good },
            Plan { resamples: 0, ..good },
            Plan { resamples: 18, ..good },
            Plan { confidence: 1.0, ..good },
            Plan { confidence: f64::NAN, ..good },
        ] {
            assert_eq!(interval(&values, bad, mean), None, "{bad:?}");
        }
        assert_eq!(interval(&values[..0], good, mean), None);
        assert_eq!(interval(&values, good, |_| f64::NAN), None);
        assert_eq!(interval(&values, good, |_| f64::INFINITY), None);
    }

    #[test]
    fn a_resample_without_a_number_widens_and_many_of_them_end_the_interval() {
        // One observation in forty, which many resamples miss: their statistic is 0/0.
        let mut values = vec![0.0; 40];
        values[20] = 1.0;
        let plan = Plan { block_len: 1, resamples: 199, confidence: 0.9, seed: 1 };
        let own_share =
            |v: &[&f64]| v.iter().copied().sum::<f64>() / v.iter().copied().sum::<f64>();
        assert_eq!(interval(&values, plan, own_share), None);

        // With a few such resamples the ends move outwards and stay numbers.
        let nan_counts_outwards =
            |index, nan| nth(&[f64::NAN, 3.0, 1.0, 2.0, f64::NAN], index, nan);
        assert_close(nan_counts_outwards(2, f64::NEG_INFINITY), 1.0, 0.0);
        assert_close(nan_counts_outwards(2, f64::INFINITY), 3.0, 0.0);
    }
}
