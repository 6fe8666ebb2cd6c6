//! Counts, rates and proportions: what they are out of, and what is no number.

use super::*;
use crate::record::{Cut, OfflineCause, Op, OpKind, Outcome};

/// The verdict of the run of these records, of which one objective is this text.
fn run(text: &str, records: &[Record], facts: &RunFacts) -> RunVerdict {
    let named = TEXT.find("metric = \"violations\"").expect("the first objective");
    let end = TEXT[named..].find("[[gate]]").expect("the second gate") + named;
    let plan = testing::plan(&format!("{}{text}\n{}", &TEXT[..named], &TEXT[end..]));
    in_court(&plan, records, facts, judge)
}

/// Of it, that of the objective.
pub(super) fn objective(text: &str, records: &[Record], facts: &RunFacts) -> ObjectiveVerdict {
    run(text, records, facts).gates[0].objectives[0].clone()
}

fn connect(client: u32, at: u64) -> Record {
    Record::ConnectBegun { client, at, attempt: 1 }
}

#[test]
fn the_peak_of_connects_is_that_of_the_seconds_of_its_phases() {
    // By second, how many: 0 is the ramp, 1 to 30 are before, 31 to 60 during, 61 is after.
    let connects = [(0, 9), (1, 2), (5, 3), (30, 4), (31, 5), (60, 6), (61, 9)];
    let records: Vec<_> = connects
        .iter()
        .flat_map(|&(second, n)| (0..n).map(move |client| connect(client, second * S + 10)))
        .chain([lag(5 * S, 1), lag(35 * S, 1)])
        .collect();
    for (phase, peak) in [("before", 4.0), ("during", 6.0)] {
        let text = format!(
            "metric = \"peak_connects_per_s\"\nduring = [\"{phase}\"]\nrequire = \"count < 7\""
        );
        let verdict = objective(&text, &records, &facts());
        assert_eq!((verdict.estimate, verdict.n), (Some(peak), 38), "{phase}");
        assert_eq!(verdict.verdict, Verdict::Pass, "{}", verdict.reason);
    }
    let one = [connect(0, 5 * S), lag(5 * S, 1)];
    let text = "metric = \"peak_connects_per_s\"\nduring = [\"before\"]\nrequire = \"count < 7\"";
    assert_eq!(objective(text, &one, &facts()).estimate, Some(1.0));
}

#[test]
fn a_count_is_decided_by_a_generator_that_is_in_time_for_the_bound_of_convergence() {
    let text = "metric = \"peak_connects_per_s\"\nduring = [\"before\"]\nrequire = \"count < 7\"";
    let of = |lag_us| objective(text, &[connect(0, 5 * S), lag(5 * S, lag_us)], &facts());
    assert_eq!(of(200_000).verdict, Verdict::Pass, "{}", of(200_000).reason);
    assert_eq!(of(3_500_000).verdict, Verdict::Inconclusive);
}

#[test]
fn of_no_samples_and_of_no_time_there_is_no_estimate() {
    let rate = "metric = \"reconnects\"\nduring = [\"before\"]\nrequire = \"rate < 5/s\"";
    let lost =
        Record::Offline { client: 0, at: 6 * S, cause: OfflineCause::Broken { how: Cut::Eof } };
    let records = [connect(0, 2 * S), lost, connect(0, 7 * S), lag(5 * S, 1)];
    let verdict = objective(rate, &records, &facts());
    assert_eq!(verdict.bad, 1, "{}", verdict.reason);
    assert!(verdict.estimate.is_some_and(|rate| (rate - 1.0 / 30.0).abs() < 1e-9), "{verdict:?}");
    let mut stopped = facts();
    stopped.duration_us = 0;
    let verdict = objective(rate, &records, &stopped);
    assert_eq!((verdict.estimate, verdict.verdict), (None, Verdict::Inconclusive));
}

fn heartbeat(at: u64) -> Record {
    let (client, kind, outcome) = (0, OpKind::Heartbeat, Outcome::Ok);
    Record::Op(Op { client, kind, intended: at, start: at, done: at + 9, outcome })
}

#[test]
fn the_chances_of_a_time_out_are_the_heartbeats_and_those_of_a_reconnect_the_connects() {
    let silent = Record::Offline { client: 0, at: 9 * S, cause: OfflineCause::HeartbeatTimeout };
    let records = [
        connect(0, 2 * S),
        heartbeat(5 * S),
        heartbeat(6 * S),
        heartbeat(7 * S),
        silent,
        lag(5 * S, 1),
    ];
    let text = "metric = \"heartbeat_timeouts\"\nduring = [\"before\"]\nrequire = \"rate < 5/s\"";
    let verdict = objective(text, &records, &facts());
    assert_eq!((verdict.n, verdict.bad), (4, 1), "{}", verdict.reason);

    let joined = |client, at| {
        let (kind, outcome) = (OpKind::Connect, Outcome::Ok);
        Record::Op(Op { client, kind, intended: at, start: at, done: at + 9, outcome })
    };
    let records = [joined(0, 500), joined(1, 5 * S), joined(2, 40 * S), lag(5 * S, 1)];
    let text = "metric = \"reconnects\"\nduring = [\"before\"]\nrequire = \"rate < 5/s\"";
    let verdict = objective(text, &records, &facts());
    assert_eq!((verdict.n, verdict.bad), (3, 0), "those of the whole run: {}", verdict.reason);
}

#[test]
fn a_proportion_of_nothing_has_no_estimate() {
    let text = "metric = \"topic_errors\"\nduring = [\"before\"]\nrequire = \"proportion < 5%\"";
    let join = |outcome, at| {
        let (client, kind) = (0, OpKind::Join);
        Record::Op(Op { client, kind, intended: at, start: at, done: at + 9, outcome })
    };
    let none = objective(text, &[lag(5 * S, 1)], &facts());
    assert_eq!((none.n, none.estimate), (0, None));
    let records = [join(Outcome::Ok, 5 * S), join(Outcome::RefusedTopic, 6 * S), lag(5 * S, 1)];
    let half = objective(text, &records, &facts());
    assert_eq!((half.n, half.bad, half.estimate), (2, 1, Some(0.5)));
}

#[test]
fn the_seed_of_the_bootstrap_follows_from_that_of_the_plan() {
    let of = |seed: &str| {
        let plan = testing::plan(&TEXT.replace("seed = 7", &format!("seed = {seed}")));
        in_court(&plan, &[], &facts(), ratio::seed)
    };
    assert_eq!(of("7"), of("7"));
    assert_ne!(of("7"), of("8"));
}

#[test]
fn a_percentile_holds_is_broken_or_holds_only_loosely_and_the_run_says_which() {
    let text = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"p(90) < 100ms\"\n\
                warn = \"p(90) < 50ms\"";
    for (took, expected) in
        [(20_000, Verdict::Pass), (70_000, Verdict::Warn), (200_000, Verdict::Fail)]
    {
        let run = run(text, &delivered(20, |_| took), &facts());
        let verdict = &run.gates[0].objectives[0];
        assert_eq!(verdict.verdict, expected, "{}", verdict.reason);
        assert_eq!(verdict.reason.contains("`p(90) < 50ms` does not hold"), took == 70_000);
        let said = format!("{expected}: named: delivery p(90) < 100ms: {}", verdict.reason);
        assert_eq!(run.reasons.contains(&said), expected != Verdict::Pass, "{:?}", run.reasons);
    }
}

#[test]
fn a_latency_is_decided_by_a_generator_whose_lag_is_a_tenth_of_its_threshold_at_most() {
    let text = "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"max < 100ms\"";
    let of = |took, lag_us| {
        let mut records = delivered(20, |_| took);
        records.push(Record::SchedulerLag { thread: 1, at: 5 * S, lag_us });
        objective(text, &records, &facts()).verdict
    };
    assert_eq!((of(20_000, 1), of(200_000, 1)), (Verdict::Pass, Verdict::Fail));
    assert_eq!((of(20_000, 9_900), of(20_000, 10_100)), (Verdict::Pass, Verdict::Inconclusive));
}

#[test]
fn a_percentile_that_holds_of_what_was_measured_waits_for_the_reach_that_is_asked() {
    let of = |reach: &str| {
        let text = format!(
            "metric = \"delivery\"\nduring = [\"before\"]\nrequire = \"p(90) < 100ms\"\n{reach}"
        );
        objective(&text, &delivered(20, |_| 20_000), &facts())
    };
    for reach in ["", "reach = \"10 %\"\n", "reach = \"100 %\"\n"] {
        let found = of(reach);
        assert_eq!(found.verdict, Verdict::Pass, "{reach}: {}", found.reason);
        assert!(
            found
                .reason
                .ends_with("30 clean seconds: up to 9.5 % of seconds may be worse; 299 s for 1 %")
                || !reach.is_empty(),
            "{}",
            found.reason
        );
    }
    let short = of("reach = \"1 %\"\n");
    assert_eq!(short.verdict, Verdict::Inconclusive);
    let said = "it holds of what was measured, but the reach asked for is 1 %, for which 269 more \
                seconds are needed: ";
    assert!(short.reason.starts_with(said), "{}", short.reason);
    assert!(short.resampled.is_some_and(|of| of.seconds && of.units == 30), "{short:?}");
}

#[test]
fn a_rate_that_is_undecided_says_how_many_more_seconds_would_decide() {
    let records = [connect(0, 2 * S), heartbeat(5 * S), lag(5 * S, 1)];
    let text =
        "metric = \"heartbeat_timeouts\"\nduring = [\"before\"]\nrequire = \"rate <= 0.05/s\"";
    let open = objective(text, &records, &facts());
    assert_eq!(open.verdict, Verdict::Inconclusive);
    // -ln 0.05 / 0.05 are 59.9 s, and 30 s were measured.
    assert!(open.reason.ends_with("; 30 more seconds without one would decide"), "{}", open.reason);
}
