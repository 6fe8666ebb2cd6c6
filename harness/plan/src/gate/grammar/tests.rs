use proptest::prelude::*;

use super::*;

/// One metric of each kind, and one more latency for good measure.
const LATENCY: MetricId = MetricId::TimeToRecovered;
const MAGNITUDE: MetricId = MetricId::ReconnectAttempts;
const PROPORTION: MetricId = MetricId::AuthErrors;
const RATE: MetricId = MetricId::Reconnects;
const COUNT: MetricId = MetricId::Violations;

fn read(metric: MetricId, text: &str) -> (Estimator, Comparison, f64) {
    match parse(metric, text) {
        Ok(claim) => {
            assert_eq!(claim.text, text.trim(), "the text is kept as written");
            (claim.estimator, claim.comparison, claim.bound)
        }
        Err(error) => panic!("{text}: {error}"),
    }
}

/// The error, with the offending text pointed at.
fn complaint(metric: MetricId, text: &str) -> String {
    let error = parse(metric, text).expect_err(text);
    let pointer = format!(
        "{}{}",
        " ".repeat(text[..error.span.start].chars().count()),
        "^".repeat(text[error.span.clone()].chars().count().max(1))
    );
    format!("{text}\n{pointer}\n{error}; {}", error.help)
}

#[test]
fn percentiles_of_latencies_are_in_microseconds() {
    use Comparison::{Less, LessOrEqual};
    assert_eq!(read(LATENCY, "p(99) < 20s"), (Estimator::Percentile(99.0), Less, 20e6));
    assert_eq!(read(LATENCY, "p(99.9)<=250ms"), (Estimator::Percentile(99.9), LessOrEqual, 250e3));
    assert_eq!(read(LATENCY, "  p( 50 )  <  1m30s "), (Estimator::Percentile(50.0), Less, 90e6));
    assert_eq!(read(LATENCY, "p (90) < 1.5s"), (Estimator::Percentile(90.0), Less, 1.5e6));
}

#[test]
fn the_largest_sample_is_a_claim_about_distributions() {
    assert_eq!(read(LATENCY, "max < 30s"), (Estimator::Max, Comparison::Less, 30e6));
    assert_eq!(read(MAGNITUDE, "max <= 5"), (Estimator::Max, Comparison::LessOrEqual, 5.0));
}

#[test]
fn magnitudes_have_plain_bounds() {
    let claim = read(MAGNITUDE, "p(95) <= 2.5");
    assert_eq!(claim, (Estimator::Percentile(95.0), Comparison::LessOrEqual, 2.5));
}

#[test]
fn proportions_in_percent_or_of_one() {
    for text in ["proportion <= 3%", "proportion <= 0.03", "proportion<=3 %"] {
        let claim = read(PROPORTION, text);
        assert_eq!(claim, (Estimator::Proportion, Comparison::LessOrEqual, 0.03), "{text}");
    }
    let claim = read(PROPORTION, "proportion < 0.5%");
    assert_eq!(claim, (Estimator::Proportion, Comparison::Less, 0.005));
}

#[test]
fn rates_are_per_second() {
    assert_eq!(read(RATE, "rate <= 1.5/s"), (Estimator::Rate, Comparison::LessOrEqual, 1.5));
    assert_eq!(read(RATE, "rate < 90/min"), (Estimator::Rate, Comparison::Less, 1.5));
}

#[test]
fn counts_of_every_kind_that_counts() {
    for metric in [PROPORTION, RATE, COUNT] {
        assert_eq!(read(metric, "count == 0"), (Estimator::Count, Comparison::Equal, 0.0));
        assert_eq!(read(metric, "count <= 50"), (Estimator::Count, Comparison::LessOrEqual, 50.0));
        assert_eq!(read(metric, "count < 1"), (Estimator::Count, Comparison::Less, 1.0));
    }
}

#[test]
fn every_metric_reads_its_own_example() {
    for &metric in MetricId::ALL {
        read(metric, example(metric));
    }
}

#[test]
fn every_kind_refuses_the_estimators_of_the_others() {
    for (metric, texts) in [
        (LATENCY, &["proportion < 1%", "rate < 1/s", "count == 0"][..]),
        (MAGNITUDE, &["proportion < 1%", "rate < 1/s", "count == 0"]),
        (PROPORTION, &["p(99) < 1s", "max < 1s", "rate < 1/s"]),
        (RATE, &["p(99) < 1s", "max < 1s", "proportion < 1%"]),
        (COUNT, &["p(99) < 1s", "max < 1s", "proportion < 1%", "rate < 1/s"]),
    ] {
        for text in texts {
            let error = parse(metric, text).expect_err(text);
            assert!(error.what.starts_with(&format!("`{}` has no", metric.name())), "{error}");
            assert!(error.help.contains(estimators(metric.kind())), "{}", error.help);
        }
    }
}

#[test]
fn wrong_estimators_are_pointed_at() {
    insta::assert_snapshot!(complaint(LATENCY, "avg < 20s"), @"
    avg < 20s
    ^^^
    `avg` is not an estimator; `time_to_recovered` has `p(q)` and `max`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p99 < 20s"), @"
    p99 < 20s
    ^^^
    `p99` is not an estimator; `time_to_recovered` has `p(q)` and `max`
    ");
    insta::assert_snapshot!(complaint(COUNT, "p(99) < 20s"), @"
    p(99) < 20s
    ^^^^^
    `violations` has no `p(99)`; it has `count`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "< 20s"), @"
    < 20s
    ^
    nothing is estimated; it has `p(q)` and `max`
    ");
}

#[test]
fn wrong_percentiles_are_pointed_at() {
    insta::assert_snapshot!(complaint(LATENCY, "p(101) < 20s"), @"
    p(101) < 20s
      ^^^
    `101` is not a percentile, which lies between 0 and 100; write such as `p(99)` or `p(99.9)`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(x) < 20s"), @"
    p(x) < 20s
      ^
    `x` is not a percentile, which lies between 0 and 100; write such as `p(99)` or `p(99.9)`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p() < 20s"), @"
    p() < 20s
     ^^
    `` is not a percentile, which lies between 0 and 100; write such as `p(99)` or `p(99.9)`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99 < 20s"), @"
    p(99 < 20s
        ^
    `p(` is not closed; write such as `p(99)` or `p(99.9)`
    ");
    for percent in ["0", "100", "-1", "nan", "inf", "1e1", "+5", ".", "99..9"] {
        assert!(parse(LATENCY, &format!("p({percent}) < 1s")).is_err(), "{percent}");
    }
}

#[test]
fn wrong_comparisons_are_pointed_at() {
    insta::assert_snapshot!(complaint(LATENCY, "p(99) > 20s"), @"
    p(99) > 20s
          ^
    `>` is not a comparison of claims; a claim bounds from above: use `<` or `<=`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) = 20s"), @"
    p(99) = 20s
          ^
    `=` is not a comparison of claims; use `==` for counts, `<` or `<=` for the rest
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) =< 20s"), @"
    p(99) =< 20s
          ^^
    `=<` is not a comparison of claims; use `<`, `<=` or, for counts, `==`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) == 20s"), @"
    p(99) == 20s
          ^^
    `==` compares counts; an estimate is never exact; use `<` or `<=`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99)"), @"
    p(99)
         ^
    `p(99)` makes no comparison; write such as `p(99) < 20s`
    ");
    insta::assert_snapshot!(complaint(LATENCY, ""), @"

    ^
    the claim is empty; write such as `p(99) < 20s`
    ");
}

#[test]
fn wrong_bounds_are_pointed_at() {
    insta::assert_snapshot!(complaint(LATENCY, "p(99) < 20"), @"
    p(99) < 20
            ^^
    `20` lacks a unit; `h`, `m`, `s`, `ms` and `us` are known; write such as `p(99) < 20s`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) <  20 parsecs"), @"
    p(99) <  20 parsecs
             ^^^^^^^^^^
    `20 parsecs` has the unit `parsecs`; `h`, `m`, `s`, `ms` and `us` are known; write such as `p(99) < 20s`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) < 500 ms"), @"
    p(99) < 500 ms
            ^^^^^^
    `500 ms` has a blank in it: write `500ms`; write such as `p(99) < 20s`
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) <"), @"
    p(99) <
           ^
    the bound is missing; write such as `p(99) < 20s`
    ");
    insta::assert_snapshot!(complaint(MAGNITUDE, "max <= 5s"), @"
    max <= 5s
           ^^
    `5s` is not a number; write such as `p(99) <= 5`
    ");
    insta::assert_snapshot!(complaint(PROPORTION, "proportion <= 3"), @"
    proportion <= 3
                  ^
    `3` is more than the whole; `3%` and `0.03` are the same; write such as `proportion <= 3%`
    ");
    insta::assert_snapshot!(complaint(RATE, "rate <= 1.5"), @"
    rate <= 1.5
            ^^^
    `1.5` is not a rate, such as `2/s`, `120/min` or `30/h`; write such as `rate <= 1.5/s`
    ");
    insta::assert_snapshot!(complaint(COUNT, "count <= 1.5"), @"
    count <= 1.5
             ^^^
    `1.5` is not a count; write such as `count == 0`
    ");
    insta::assert_snapshot!(complaint(COUNT, "count <= -1"), @"
    count <= -1
             ^^
    `-1` is not a count; write such as `count == 0`
    ");
}

#[test]
fn claims_that_hold_always_or_never_are_refused() {
    insta::assert_snapshot!(complaint(PROPORTION, "proportion <= 0%"), @"
    proportion <= 0%
                  ^^
    no number of samples shows a proportion of nothing; claim `count == 0`, or allow a share, such as `proportion <= 1%`
    ");
    insta::assert_snapshot!(complaint(PROPORTION, "proportion < 100%"), @"
    proportion < 100%
                 ^^^^
    a proportion is never above 100 %, so the claim says nothing; lower the bound
    ");
    insta::assert_snapshot!(complaint(RATE, "rate <= 0/s"), @"
    rate <= 0/s
            ^^^
    no length of time shows a rate of nothing; claim `count == 0`, or allow a rate, such as `rate <= 0.05/s`
    ");
    insta::assert_snapshot!(complaint(COUNT, "count < 0"), @"
    count < 0
            ^
    nothing is below zero, so the claim can never hold; raise the bound
    ");
    insta::assert_snapshot!(complaint(LATENCY, "p(99) < 0s"), @"
    p(99) < 0s
            ^^
    nothing is below zero, so the claim can never hold; raise the bound
    ");
}

#[test]
fn what_follows_the_bound_is_not_ignored() {
    for text in ["p(99) < 20s < 30s", "p(99) < 20s ok", "p(99) < 20s, max < 30s"] {
        assert!(parse(LATENCY, text).is_err(), "{text}");
    }
    assert!(parse(COUNT, "count == 0 == 0").is_err());
}

#[test]
fn positions_are_bytes_even_after_wide_characters() {
    let error = parse(LATENCY, "p(99) < 20µs").expect_err("µs is not a unit");
    assert_eq!(&"p(99) < 20µs"[error.span], "20µs");
    let error = parse(LATENCY, "médiane < 20s").expect_err("not an estimator");
    assert_eq!(&"médiane < 20s"[error.span], "médiane");
}

proptest! {
    #[test]
    fn no_text_panics_and_spans_lie_inside(text in ".*") {
        for &metric in MetricId::ALL {
            if let Err(error) = parse(metric, &text) {
                prop_assert!(text.get(error.span).is_some());
            }
        }
    }

    #[test]
    fn texts_like_claims_do_not_panic_either(text in "[p(max)0-9.<=>! smco%/é]{0,24}") {
        for metric in [LATENCY, MAGNITUDE, PROPORTION, RATE, COUNT] {
            match parse(metric, &text) {
                Ok(claim) => prop_assert!(claim.bound >= 0.0 && claim.bound.is_finite()),
                Err(error) => prop_assert!(text.get(error.span).is_some()),
            }
        }
    }

    #[test]
    fn whole_numbers_of_seconds_come_back(q in 1_u32..100, seconds in 1_u32..1_000) {
        let claim = parse(LATENCY, &format!("p({q}) <= {seconds}s")).unwrap();
        prop_assert_eq!(claim.estimator, Estimator::Percentile(f64::from(q)));
        prop_assert_eq!(claim.bound, f64::from(seconds) * 1e6);
    }
}
