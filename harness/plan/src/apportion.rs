//! Shares to whole numbers that sum to the total (largest remainder, Hamilton's method).

/// Deals `total` out by `shares`, which need not sum to 1. The first of equals gets the odd one.
///
/// Shares that are negative or not numbers count as nothing; where nothing is left, all are 0.
#[must_use]
pub fn largest_remainder(total: u32, shares: &[f64]) -> Vec<u32> {
    let shares: Vec<f64> = shares.iter().map(|s| if *s > 0.0 { *s } else { 0.0 }).collect();
    let sum: f64 = shares.iter().sum();
    if !(sum.is_finite() && sum > 0.0) {
        return vec![0; shares.len()];
    }
    let exact: Vec<f64> = shares.iter().map(|share| f64::from(total) * share / sum).collect();
    // A u32 is exact in an f64, and no share is above the whole.
    let mut dealt: Vec<u32> = exact.iter().map(|exact| exact.floor() as u32).collect();
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()).then(a.cmp(b)));
    let left = total.saturating_sub(dealt.iter().sum()) as usize;
    for index in by_remainder.into_iter().filter(|index| shares[*index] > 0.0).take(left) {
        dealt[index] += 1;
    }
    dealt
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_remainders_get_the_odd_ones() {
        assert_eq!(largest_remainder(60, &[0.5, 0.5]), [30, 30]);
        assert_eq!(largest_remainder(10, &[0.25, 0.25, 0.5]), [3, 2, 5]);
        assert_eq!(largest_remainder(100, &[1.0, 1.0, 1.0]), [34, 33, 33]);
        assert_eq!(largest_remainder(1, &[0.4, 0.6]), [0, 1]);
        assert_eq!(largest_remainder(7, &[]), [0_u32; 0]);
        assert_eq!(largest_remainder(7, &[0.0, f64::NAN]), [0, 0]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nobody_is_off_by_more_than_one(
            total in 0_u32..100_000,
            shares in prop::collection::vec(0.001_f64..10.0, 1..8),
        ) {
            let dealt = largest_remainder(total, &shares);
            prop_assert_eq!(dealt.iter().sum::<u32>(), total);
            let sum: f64 = shares.iter().sum();
            for (count, share) in dealt.iter().zip(&shares) {
                let exact = f64::from(total) * share / sum;
                prop_assert!((f64::from(*count) - exact).abs() < 1.0 + 1e-6);
            }
        }
    }
}
