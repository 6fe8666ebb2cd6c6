//! Percentiles over seconds and over clients: verdicts, reach, and what would decide.

use khala_plan::gate::power;
use khala_plan::model::{Comparison, Estimator};

use super::*;
use crate::shard::metrics::{Key, Metrics};

const MS: u64 = 1_000;

fn claim(q: f64, bound_ms: u64) -> Claim {
    let estimator = Estimator::Percentile(q);
    let bound = (bound_ms * MS) as f64;
    Claim { text: String::new(), estimator, comparison: Comparison::Less, bound }
}

/// `per` samples in each of some seconds, of `took(second, n)` microseconds.
fn seconds(count: u64, per: u64, took: impl Fn(u64, u64) -> u64) -> Distribution {
    let mut metrics = Metrics::default();
    let key = Key { metric: MetricId::Delivery, phase: 0, surface: None };
    for (second, n) in (0..count).flat_map(|second| (0..per).map(move |n| (second, n))) {
        let took = took(second, n);
        metrics.sample(key, 0, second * 1_000_000, took, took);
    }
    metrics.distribution(MetricId::Delivery, &[0], None)
}

fn of(sample: &Distribution, claim: &Claim, asked: Option<f64>) -> Percentile {
    let Estimator::Percentile(q) = claim.estimator else { unreachable!("a percentile") };
    measure(sample, MetricId::Delivery, q, claim, asked, 7)
}

fn usual(second: u64, n: u64) -> u64 {
    10 * MS + (second * 31 + n * 617) % 1_000
}

/// 10 ms to 110 ms, by chance.
fn spread(second: u64, n: u64) -> u64 {
    let bytes = (second * 1_000 + n).to_le_bytes();
    10 * MS + khala_wire::canonical::digest64(&bytes) % (100 * MS)
}

#[test]
fn what_is_clear_passes_and_fails_and_what_lies_at_the_bound_stays_open() {
    let sample = seconds(60, 40, spread);
    let verdict = |bound_ms| of(&sample, &claim(99.0, bound_ms), None).verdict;
    assert_eq!((verdict(120), verdict(5)), (Verdict::Pass, Verdict::Fail));
    let at = sample.clone();
    let mut at_bound = claim(99.0, 100);
    at_bound.bound = of(&at, &at_bound, None).estimate.expect("an estimate") as f64;
    let open = of(&at, &at_bound, None);
    assert_eq!(open.verdict, Verdict::Inconclusive);
    let more = open.more(299).expect("something to say");
    assert_eq!(more, "it lies at the bound, and no longer run decides it");
}

#[test]
fn nineteen_seconds_decide_nothing_and_twenty_do() {
    let of = |count| of(&seconds(count, 40, usual), &claim(99.0, 20), None);
    assert_eq!((of(19).verdict, of(20).verdict), (Verdict::Inconclusive, Verdict::Pass));
    assert_eq!(of(19).more(299).as_deref(), Some("about 1 more second like these would decide"));
    let slow = |count| super::tests::of(&seconds(count, 40, usual), &claim(99.0, 5), None);
    assert_eq!((slow(19).verdict, slow(20).verdict), (Verdict::Inconclusive, Verdict::Fail));
}

#[test]
fn a_percentile_is_always_there_with_its_interval_and_what_it_was_drawn_from() {
    // Fourteen clients bound a p(80), of which no ten are beyond it.
    let mut metrics = Metrics::default();
    let key = Key { metric: MetricId::ResumeToLive, phase: 0, surface: None };
    (0..14_u32).for_each(|client| metrics.sample(key, client, 0, 700 * MS, 700 * MS));
    let sample = metrics.distribution(MetricId::ResumeToLive, &[0], None);
    let found = measure(&sample, MetricId::ResumeToLive, 80.0, &claim(80.0, 3_000), None, 7);
    assert_eq!((found.verdict, found.reach), (Verdict::Pass, None));
    let said = found.describe();
    assert!(
        said.starts_with(
            "0 of 14 samples break it; p(80) is 700 ms, 95 % interval 700 ms to 700 ms, from "
        ),
        "{said}"
    );
    assert!(said.ends_with("groups of clients"), "{said}");
    let resampled = found.resampled().expect("an interval");
    assert_eq!((resampled.seconds, resampled.block_len, resampled.seed), (false, 1, 7));
    assert!((8..=14).contains(&resampled.units), "{resampled:?}");
}

#[test]
fn the_reach_is_exact_and_says_what_it_takes() {
    let clean = of(&seconds(30, 40, usual), &claim(99.0, 20), None).reach.expect("a reach");
    assert_eq!(
        clean.to_string(),
        "30 clean seconds: up to 9.5 % of seconds may be worse; 299 s for 1 %"
    );
    assert!((clean.share - (1.0 - 0.05_f64.powf(1.0 / 30.0))).abs() < 1e-9, "{clean:?}");
    // One sample of forty is more than one in a hundred of its second.
    let late = |second, n| if second == 3 && n == 0 { 900 * MS } else { usual(second, n) };
    let worse = of(&seconds(60, 40, late), &claim(99.0, 20), Some(0.05)).reach.expect("a reach");
    assert_eq!((worse.seconds, worse.worse), (60, 1));
    assert_eq!(
        worse.to_string(),
        "1 of 60 seconds worse: up to 7.7 % of seconds may be worse; 93 s for 5 %"
    );
}

#[test]
fn a_reach_suffices_from_the_seconds_on_that_it_takes() {
    let suffices = |count, asked| {
        let found = of(&seconds(count, 4, usual), &claim(90.0, 20), Some(asked));
        found.reach.expect("a reach").suffices()
    };
    assert_eq!((suffices(298, 0.01), suffices(299, 0.01)), (false, true));
    assert_eq!((suffices(28, 0.1), suffices(29, 0.1), suffices(20, 1.0)), (false, true, true));
}

#[test]
fn a_run_takes_as_many_seconds_as_check_says() {
    for asked in [None, Some(1.0), Some(0.3), Some(0.1), Some(0.05), Some(0.01)] {
        let p90 = claim(90.0, 20);
        let passes = |count| {
            let found = of(&seconds(count, 4, usual), &p90, asked);
            found.verdict == Verdict::Pass && found.reach.expect("a reach").suffices()
        };
        let told = power::seconds(MetricId::Delivery, &p90, asked).expect("it is over time");
        assert_eq!((passes(told - 1), passes(told)), (false, true), "{asked:?}: {told}");
    }
}

#[test]
fn what_never_ended_is_beyond_every_bound() {
    let mut metrics = Metrics::default();
    let key = Key { metric: MetricId::Publish, phase: 0, surface: None };
    for second in 0..30_u64 {
        (0..10).for_each(|_| metrics.censored(key, 0, second * 1_000_000, 1));
    }
    let sample = metrics.distribution(MetricId::Publish, &[0], None);
    let found = measure(&sample, MetricId::Publish, 90.0, &claim(90.0, 500_000), None, 7);
    assert_eq!((found.bad, found.verdict), (300, Verdict::Fail));
}

#[test]
fn without_a_sample_nothing_is_said_but_that() {
    let found = of(&Distribution::default(), &claim(99.0, 20), None);
    assert_eq!((found.verdict, found.reach, found.more(299)), (Verdict::Inconclusive, None, None));
    assert_eq!(found.describe(), "there is not a single sample");
}

#[test]
fn what_is_open_says_how_many_more_seconds_would_close_it() {
    // A wide spread, and a bound not far above the percentile.
    let sample = seconds(24, 20, spread);
    let mut near = claim(90.0, 1);
    near.bound = of(&sample, &near, None).estimate.expect("an estimate") as f64 * 1.01;
    let found = of(&sample, &near, None);
    assert_eq!(found.verdict, Verdict::Inconclusive, "{found:?}");
    let more = found.more(29).expect("something to say");
    let seconds: u64 =
        more.split(' ').nth(1).expect("a figure").replace(',', "").parse().expect(&more);
    assert!((2..5_000).contains(&seconds), "{more}");
}

#[test]
fn an_end_that_rests_on_what_never_ended_is_no_figure() {
    // A storm: of forty groups three have a client that never came back.
    let of = |lost: u32, bound_ms| {
        let mut metrics = Metrics::default();
        let key = Key { metric: MetricId::TimeToRecovered, phase: 0, surface: None };
        for client in 0..40 {
            let took = 900 * MS + u64::from(client) * MS;
            if client < lost {
                metrics.censored(key, client, 0, 1);
            } else {
                metrics.sample(key, client, 0, took, took);
            }
        }
        let sample = metrics.distribution(MetricId::TimeToRecovered, &[0], None);
        measure(&sample, MetricId::TimeToRecovered, 90.0, &claim(90.0, bound_ms), None, 7)
    };
    let none = of(0, 8_000);
    assert_eq!(none.verdict, Verdict::Pass, "{none:?}");
    assert!(none.interval.is_some_and(|it| it.upper.is_some()), "{none:?}");
    let some = of(3, 8_000);
    let interval = some.interval.as_ref().expect("an interval");
    assert_eq!((some.verdict, interval.upper), (Verdict::Inconclusive, None), "{some:?}");
    assert!(interval.lower < 1_000 * MS);
    assert!(
        some.describe().contains(
            "to no upper bound (in 3 of 40 cases a client was not up to date again when the phase of its \
             disturbance ended"
        ),
        "{}",
        some.describe()
    );
    assert_eq!(some.more(29), None, "no further sample tells how long they take");
    let most = of(30, 8_000);
    assert_eq!(most.estimate, None, "{most:?}");
    assert!(
        most.describe().contains(
            "p(90) has no value: in 30 of 40 cases a client was not up to date again when the phase of its \
             disturbance ended"
        ),
        "{}",
        most.describe()
    );
}
