//! The figures that stand beside a verdict: bounds, the design effect, what breaks the stricter claim.

use super::objectives::objective;
use super::*;
use crate::record::{OfflineCause, Op, OpKind, Outcome};

fn joins(client: u32, bad: u64, all: u64) -> impl Iterator<Item = Record> {
    (0..all).map(move |n| {
        let outcome = if n < bad { Outcome::RefusedTopic } else { Outcome::Ok };
        let at = 5 * S + n * 100;
        let kind = OpKind::Join;
        Record::Op(Op { client, kind, intended: at, start: at, done: at + 9, outcome })
    })
}

#[test]
fn a_verdict_shows_the_bounds_that_its_reason_names_and_how_many_samples_count_as_one() {
    let text = "metric = \"topic_errors\"\nduring = [\"before\"]\nrequire = \"proportion < 5%\"\n\
                min_samples = 1";
    // All of them of one client, which count as one.
    let records: Vec<_> = joins(0, 1, 2).chain([lag(5 * S, 1)]).collect();
    let half = objective(text, &records, &facts());
    assert_eq!((half.deff, half.estimate), (Some(2.0), Some(0.5)));
    let (lower, upper) = (half.lower.expect("a bound"), half.upper.expect("a bound"));
    assert!(0.0 < lower && lower < 0.5 && 0.5 < upper && upper < 1.0, "{half:?}");
    let bounds = format!("95 % bounds {:.3} % to {:.3} %", lower * 100.0, upper * 100.0);
    assert!(half.reason.contains(&bounds), "{half:?}");

    let text = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"p(90) < 100ms\"";
    let found = objective(text, &delivered(20, |_| 20_000), &facts());
    let (lower, upper) = (found.lower.expect("an end"), found.upper.expect("an end"));
    assert!((19_980.0..=20_020.0).contains(&lower), "{found:?}");
    assert!((lower..=20_020.0).contains(&upper), "{found:?}");
    assert!(found.deff.is_some_and(|deff| deff >= 1.0), "{found:?}");
    assert_eq!(found.reach.map(|reach| reach.seconds), Some(30));

    let text = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"max < 100ms\"";
    let exact = objective(text, &delivered(20, |_| 20_000), &facts());
    assert_eq!((exact.lower, exact.upper, exact.deff), (None, None, None), "it is exact");
}

#[test]
fn a_warning_about_samples_says_how_many_break_the_stricter_claim() {
    let of = |estimator: &str, took| {
        let text = format!(
            "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"{estimator} < 100ms\"\n\
             warn = \"{estimator} < 50ms\""
        );
        let found = objective(&text, &delivered(20, |_| took), &facts());
        (found.verdict, found.warn_bad)
    };
    for estimator in ["p(90)", "max"] {
        assert_eq!(of(estimator, 20_000), (Verdict::Pass, None));
        assert_eq!(of(estimator, 70_000), (Verdict::Warn, Some(600)), "{estimator}");
        assert_eq!(of(estimator, 200_000), (Verdict::Fail, None));
    }
    let text = "metric = \"topic_errors\"\nduring = [\"before\"]\nrequire = \"proportion < 50%\"\n\
                warn = \"proportion < 1%\"";
    let records: Vec<_> =
        (0..4).flat_map(|client| joins(client, 5, 100)).chain([lag(5 * S, 1)]).collect();
    let found = objective(text, &records, &facts());
    assert_eq!((found.verdict, found.bad, found.warn_bad), (Verdict::Warn, 20, None));
}

#[test]
fn a_verdict_says_what_was_claimed_of_what_and_in_which_unit() {
    let text = "metric = \"delivery\"\nwhere = { surface = \"desktop\" }\nduring = [\"before\"]\n\
                require = \"p(90) < 100ms\"\nwarn = \"p(90) < 50ms\"";
    let found = objective(text, &delivered(20, |_| 20_000), &facts());
    assert_eq!((found.metric.as_str(), found.selector.as_str()), ("delivery", "surface=desktop"));
    assert_eq!(
        (found.require.as_str(), found.warn.as_deref()),
        ("p(90) < 100ms", Some("p(90) < 50ms"))
    );
    assert_eq!((found.during, found.unit, found.n), (vec!["before".to_owned()], Unit::Micros, 600));
}

#[test]
fn what_would_decide_is_not_said_of_a_run_that_was_unfit() {
    let text =
        "metric = \"heartbeat_timeouts\"\nduring = [\"before\"]\nrequire = \"rate <= 0.05/s\"";
    let of = |lag_us| {
        let at = 5 * S;
        let (client, kind, outcome) = (0, OpKind::Heartbeat, Outcome::Ok);
        let op = Op { client, kind, intended: at, start: at, done: at + 9, outcome };
        objective(text, &[Record::Op(op), lag(at, lag_us)], &facts())
    };
    let (open, unfit) = (of(1), of(3_500_000));
    assert_eq!((open.verdict, unfit.verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    assert!(open.reason.ends_with("would decide"), "{}", open.reason);
    assert!(!unfit.reason.contains("would decide"), "{}", unfit.reason);
    assert!(unfit.reason.contains("the generator was unfit"), "{}", unfit.reason);
    // With a time-out, more time without one is no promise.
    let silent = Record::Offline { client: 0, at: 9 * S, cause: OfflineCause::HeartbeatTimeout };
    let once = objective(text, &[silent, lag(5 * S, 1)], &facts());
    assert_eq!((once.verdict, once.bad), (Verdict::Inconclusive, 1), "{}", once.reason);
    assert!(!once.reason.contains("would decide"), "{}", once.reason);
}

#[test]
fn more_of_the_same_is_asked_for_where_samples_are_too_few_and_not_where_the_reach_is_too_short() {
    let of = |more: &str| {
        let text = format!(
            "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"p(90) < 100ms\"\n{more}"
        );
        objective(&text, &delivered(20, |_| 20_000), &facts())
    };
    for min in [30, 600] {
        let short = of(&format!("min_samples = {min}\nreach = \"1 %\"\n"));
        assert_eq!(short.verdict, Verdict::Inconclusive);
        assert!(!short.reason.contains("like these would decide"), "{}", short.reason);
    }
    assert_eq!(of("min_samples = 600\n").verdict, Verdict::Pass);
    let few = of("min_samples = 900\n");
    assert_eq!(few.verdict, Verdict::Inconclusive);
    let said =
        "600 samples are fewer than the 900 needed; about 15 more seconds like these would decide";
    assert!(few.reason.starts_with(said), "{}", few.reason);
}

#[test]
fn of_nothing_and_of_a_run_that_did_not_finish_no_claim_is_decided() {
    let max = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"max < 100ms\"";
    let none = objective(max, &[lag(5 * S, 1)], &facts());
    assert_eq!((none.verdict, none.n), (Verdict::Inconclusive, 0));
    assert_eq!(none.reason, "there is not a single sample");
    let mut killed = facts();
    killed.unfinished = Some("it was killed".to_owned());
    let cut = objective(max, &delivered(20, |_| 20_000), &killed);
    assert_eq!((cut.verdict, cut.n), (Verdict::Inconclusive, 600));
    assert_eq!(cut.reason, "the run did not finish");
}
