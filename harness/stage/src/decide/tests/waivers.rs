//! Waivers cover warnings, while they have not expired, and nothing else.

use super::*;

fn warned(waivers: Vec<Waived>) -> Decided {
    let mut script = Script::new();
    let attempt = script.attempt(
        "0",
        |begun| begun.waivers = waivers,
        |name, result| match name {
            "scenario smoke" => Some(of_run(run_with(Verdict::Warn, "auth_errors", ""))),
            _ => Some(result),
        },
    );
    decided(&script, attempt)
}

#[test]
fn a_warning_takes_a_waiver_that_fits_and_has_not_expired() {
    // Everything here happens on 2027-01-15.
    holds(&warned(Vec::new()), "scenario smoke");
    let covered = warned(vec![waiver("error-budget", None, "2027-01-15")]);
    assert_eq!((covered.decision, covered.used.len()), (Decision::Go, 1), "{:?}", covered.reasons);
    assert_eq!(
        warned(vec![waiver("error-budget", Some("auth_errors"), "2028-01-01T00:00:00Z")]).decision,
        Decision::Go
    );
    for (given, why) in [
        (waiver("error-budget", None, "2027-01-14"), "it has expired"),
        (waiver("error-budget", None, "2027-01-15T00:00:00Z"), "it has expired"),
        (waiver("error-budget", None, "some day"), "neither a date nor a moment"),
        (waiver("ux", None, "2028-01-01"), "nothing warned that it covers"),
        (waiver("error-budget", Some("topic_errors"), "2028-01-01"), "nothing warned"),
    ] {
        let decided = warned(vec![given]);
        holds(&decided, "scenario smoke");
        assert!(decided.unused[0].contains(why), "{:?}", decided.unused);
    }
}

#[test]
fn a_waiver_covers_no_failure_and_nothing_that_is_open() {
    for verdict in [Verdict::Fail, Verdict::Inconclusive] {
        let mut script = Script::new();
        let attempt = script.attempt(
            "0",
            |begun| begun.waivers = vec![waiver("error-budget", None, "2028-01-01")],
            |name, result| match name {
                "scenario smoke" => Some(of_run(run_with(verdict, "auth_errors", ""))),
                _ => Some(result),
            },
        );
        assert_ne!(decided(&script, attempt).decision, Decision::Go);
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_waiver_good_again() {
    let mut script = Script::new();
    script.wait(48 * 3_600);
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Hold);
    // Everything before was on 2027-01-17; after a reboot the clock says the fifteenth.
    let mut history = script.history.clone();
    let mut attempt = Script::new();
    let waivers = vec![waiver("error-budget", None, "2027-01-16")];
    attempt.attempt(
        "0",
        |begun| begun.waivers = waivers,
        |name, result| match name {
            "scenario smoke" => Some(of_run(run_with(Verdict::Warn, "auth_errors", ""))),
            _ => Some(result),
        },
    );
    let mut second = attempt.history.attempts.remove(0);
    second.begun.attempt = 2;
    history.attempts.push(second);
    let rollout = rollout();
    let (stage, attempt, now) = (&rollout.stages[0], &history.attempts[1], attempt.now());
    let (rollout, history) = (&rollout, &history);
    let decided = decide(&Case { rollout, stage, history, attempt, now: &now, check: &|_| None });
    holds(&decided, "scenario smoke");
    assert!(decided.unused[0].contains("it has expired"), "{:?}", decided.unused);
}
