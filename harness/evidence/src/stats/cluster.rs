//! Intra-cluster correlation of a yes/no outcome, and what it costs: the design effect.
//!
//! Observations of the same second, or of the same group of clients, resemble one another; `n` of
//! them say less than `n` independent ones. A bound made on `x/deff` of `n/deff` is honest again.
//!
//! Sources: the analysis-of-variance estimator of rho for clusters of unequal size, with its m0,
//! is in M. S. Ridout, C. G. B. Demétrio and D. Firth, "Estimating intraclass correlation for
//! binary data", Biometrics 55 (1999), and before it in R. C. Elston, Biometrics 33 (1977).
//! The design effect is L. Kish's, "Survey Sampling" (1965), `1 + (m - 1) rho`. With unequal
//! sizes the m that gives the variance of the *pooled* proportion is the size of the cluster of
//! an average observation, Σn²/Σn (S. M. Kerry and J. M. Bland, Statistics in Medicine 20, 2001),
//! which is the plain size when all are equal. The estimator's own m0 is another average and only
//! lives inside the estimate of rho.
//!
//! Must never make a sample worth more than its size: a negative correlation counts as none.

/// What the clusters of a sample say about its worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clustering {
    /// Clusters with any observations.
    pub clusters: u64,
    /// Observations in all.
    pub observations: u64,
    /// Size of the cluster of an average observation, Σn²/Σn.
    pub mean_size: f64,
    /// Intra-cluster correlation, at most 1, or `None` where it cannot be estimated: one cluster,
    /// clusters of one, or an outcome that never or always occurred.
    pub rho: Option<f64>,
    /// Design effect, at least 1: divide x and n by it.
    pub deff: f64,
}

/// Correlation and design effect of clusters `(n, x)`: `x` of `n` observations had the outcome.
///
/// Empty clusters are left out. Where rho cannot be estimated, the design effect is
///
/// - `mean_size`, as if rho were 1, when there is only one cluster: one second or one group cannot
///   show that it is not a world of its own, so all of it counts as one observation;
/// - 1 when every cluster holds one observation: nothing is clustered;
/// - 1 when the outcome never or always occurred: there is no variance to inflate. A caller that
///   judges a rare outcome estimates rho on a commoner one (design, section 7).
///
/// `None` when there is no observation, or when some `x` exceeds its `n`.
#[must_use]
pub fn clustering(sample: &[(u64, u64)]) -> Option<Clustering> {
    if sample.iter().any(|&(n, x)| x > n) {
        return None;
    }
    let clusters = sample.iter().filter(|&&(n, _)| n > 0).count() as u64;
    let observations: u64 = sample.iter().map(|&(n, _)| n).sum();
    if observations == 0 {
        return None;
    }
    let total = observations as f64;
    let mean_size = sample.iter().map(|&(n, _)| (n as f64).powi(2)).sum::<f64>() / total;
    let (rho, deff) = if clusters == 1 {
        (None, mean_size)
    } else {
        let rho = rho(sample, clusters as f64, total, mean_size);
        (rho, rho.map_or(1.0, |rho| (1.0 + (mean_size - 1.0) * rho).max(1.0)))
    };
    Some(Clustering { clusters, observations, mean_size, rho, deff })
}

/// The estimator itself, for two clusters or more.
fn rho(sample: &[(u64, u64)], clusters: f64, total: f64, mean_size: f64) -> Option<f64> {
    let bad: u64 = sample.iter().map(|&(_, x)| x).sum();
    if total == clusters || bad == 0 || bad as f64 == total {
        return None;
    }
    let overall = bad as f64 / total;
    let (mut between, mut within) = (0.0, 0.0);
    for &(n, x) in sample.iter().filter(|&&(n, _)| n > 0) {
        let (n, x) = (n as f64, x as f64);
        between += n * (x / n - overall).powi(2);
        within += x * (n - x) / n;
    }
    let between = between / (clusters - 1.0);
    let within = within / (total - clusters);
    // At least 1, because no cluster is empty.
    let m0 = (total - mean_size) / (clusters - 1.0);
    // Not 0/0: an outcome that varies does so between clusters or within one.
    Some((between - within) / (between + (m0 - 1.0) * within))
}

#[cfg(test)]
mod tests {
    use super::super::assert_close;
    use super::*;

    #[test]
    fn rho_and_deff_agree_with_an_analysis_of_variance_of_the_single_observations() {
        // scipy 1.17: F = f_oneway of the zeros and ones; rho = (F-1)/(F+m0-1), and m = Σn²/N.
        #[rustfmt::skip]
        let unequal = [
            (12, 12), (11, 11), (10, 10), (9, 9), (11, 10), (10, 9), (10, 9), (9, 8),
            (9, 8), (5, 4), (9, 7), (7, 4), (10, 5), (6, 3), (10, 3), (7, 0),
        ];
        let got = clustering(&unequal).expect("observations");
        assert_eq!((got.clusters, got.observations), (16, 145));
        assert_close(got.mean_size, 9.441_379_310_344_828, 1e-12);
        assert_close(got.rho.expect("estimable"), 0.372_134_813_814_396_5, 1e-12);
        assert_close(got.deff, 4.141_331_117_991_871_5, 1e-12);

        let equal = clustering(&[(20, 2), (20, 5), (20, 0), (20, 9)]).expect("observations");
        assert_close(equal.mean_size, 20.0, 1e-12);
        assert_close(equal.rho.expect("estimable"), 0.185_309_711_625_501_08, 1e-12);
        assert_close(equal.deff, 4.520_884_520_884_52, 1e-12);

        let lopsided = clustering(&[(100, 50), (1, 0), (1, 1)]).expect("observations");
        assert_close(lopsided.rho.expect("estimable"), -0.005_100_510_051_005_109, 1e-12);
    }

    #[test]
    fn clusters_that_agree_too_well_do_not_make_a_sample_worth_more() {
        let got = clustering(&[(1000, 100), (1000, 100), (1000, 101)]).expect("observations");
        assert_close(got.rho.expect("estimable"), -0.000_997_304_542_356_241, 1e-10);
        assert_eq!(got.deff.to_bits(), 1.0_f64.to_bits());
    }

    #[test]
    fn all_or_nothing_clusters_count_as_one_observation_each() {
        let got = clustering(&[(10, 10), (10, 0), (10, 10)]).expect("observations");
        assert_close(got.rho.expect("estimable"), 1.0, 1e-12);
        assert_close(got.deff, 10.0, 1e-12);
    }

    #[test]
    fn empty_clusters_change_nothing() {
        let with = clustering(&[(0, 0), (20, 2), (0, 0), (20, 5), (20, 0), (20, 9), (0, 0)]);
        assert_eq!(with, clustering(&[(20, 2), (20, 5), (20, 0), (20, 9)]));
    }

    #[test]
    fn one_cluster_is_worth_one_observation() {
        for x in [0, 3, 50] {
            let got = clustering(&[(50, x), (0, 0)]).expect("observations");
            assert_eq!((got.rho, got.deff), (None, 50.0));
        }
    }

    #[test]
    fn an_outcome_that_never_or_always_occurs_has_no_variance_to_inflate() {
        for x in [0, 1] {
            let got = clustering(&[(10, 10 * x), (30, 30 * x)]).expect("observations");
            assert_eq!((got.rho, got.deff), (None, 1.0));
        }
    }

    #[test]
    fn clusters_of_one_are_not_clustered() {
        let got = clustering(&[(1, 0), (1, 1), (1, 0)]).expect("observations");
        assert_eq!((got.rho, got.deff), (None, 1.0));
    }

    #[test]
    fn without_observations_or_with_too_many_bad_there_is_nothing_to_say() {
        for sample in [&[][..], &[(0, 0)], &[(0, 0), (0, 0)], &[(3, 4), (5, 1)], &[(0, 1), (5, 1)]]
        {
            assert_eq!(clustering(sample), None, "{sample:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn the_design_effect_is_never_nan_below_one_or_above_the_largest_cluster(
            sizes in proptest::collection::vec((0_u64..2000, 0.0_f64..=1.0), 0..40),
        ) {
            let sample: Vec<(u64, u64)> =
                sizes.iter().map(|&(n, share)| (n, (n as f64 * share) as u64)).collect();
            let largest = sample.iter().map(|&(n, _)| n).max().unwrap_or(0) as f64;
            if let Some(got) = clustering(&sample) {
                let rho = got.rho.unwrap_or(0.0);
                proptest::prop_assert!(rho.is_finite() && rho <= 1.0 + 1e-12, "{got:?}");
                proptest::prop_assert!(
                    (1.0..=largest.max(1.0) + 1e-9).contains(&got.deff),
                    "{got:?}"
                );
            }
        }
    }
}
