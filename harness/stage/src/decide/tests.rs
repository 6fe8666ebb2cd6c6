//! Each absence is a test: none of them is a GO. Of what stands in a file of its own the tests do, too.

mod facts;
mod predecessor;
mod waivers;

use khala_evidence::builds::SocketBuilds;

use super::*;
use crate::entry::{Begun, Entry};
use crate::evidence::RunSummary;
use crate::testing::{Script, at, builds, held, of_run, passed, rollout, run, run_with};

const WELL: fn(&str, StepResult) -> Option<StepResult> = |_, result| Some(result);

fn decided_with(
    script: &Script,
    attempt: u32,
    now: &Stamp,
    check: &dyn Fn(Named<'_>) -> Option<String>,
) -> Decided {
    let rollout = rollout();
    let attempt = &script.history.attempts[attempt as usize - 1];
    let stage = rollout.stage(&attempt.begun.stage).expect("a stage");
    decide(&Case { rollout: &rollout, stage, history: &script.history, attempt, now, check })
}

fn decided(script: &Script, attempt: u32) -> Decided {
    decided_with(script, attempt, &script.now(), &|_| None)
}

/// The decision on stage 0, whose steps come to what `spoil` makes of them.
fn spoilt(spoil: impl Fn(&str, StepResult) -> Option<StepResult>) -> Decided {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, spoil);
    decided(&script, attempt)
}

fn on(step: &'static str, change: impl Fn(StepResult) -> Option<StepResult>) -> Decided {
    spoilt(move |name, result| if name == step { change(result) } else { Some(result) })
}

fn on_run(change: impl Fn(&mut RunSummary)) -> Decided {
    on("scenario smoke", |_| {
        let mut run = run();
        change(&mut run);
        Some(of_run(run))
    })
}

#[track_caller]
fn holds(decided: &Decided, why: &str) {
    assert_eq!(decided.decision, Decision::Hold, "{:?}", decided.reasons);
    let told = decided.reasons.iter().any(|reason| reason.why.contains(why));
    assert!(told, "{why}: {:?}", decided.reasons);
    assert!(decided.reasons.iter().all(|reason| !reason.next.is_empty()));
}

/// A script in which stage 0 is a GO, then stage 1 is attempted.
fn second(
    between: impl FnOnce(&mut Script),
    change: impl FnOnce(&mut Begun),
    spoil: impl Fn(&str, StepResult) -> Option<StepResult>,
) -> Decided {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    between(&mut script);
    let attempt = script.attempt("1", change, spoil);
    decided(&script, attempt)
}

fn waiver(gate: &str, metric: Option<&str>, expires: &str) -> Waived {
    let metric = metric.map(str::to_owned);
    let (gate, expires) = (gate.to_owned(), expires.to_owned());
    Waived { gate, metric, owner: "Ada".to_owned(), reason: "known".to_owned(), expires }
}

/// An objective on a rule.
fn objective(verdict: Verdict, rule: &str) -> crate::evidence::ObjectiveLine {
    crate::evidence::ObjectiveLine {
        metric: "violations".to_owned(),
        selector: format!("rule={rule}"),
        require: "count == 0".to_owned(),
        warn: None,
        verdict,
        n: 9,
        measured: "0".to_owned(),
        bound: String::new(),
        reason: "it was in no state for it".to_owned(),
    }
}

#[test]
fn what_must_apply_may_be_a_rule_or_a_metric_of_a_gate() {
    let with = |name: &str, run: RunSummary| {
        let mut script = Script::new();
        let attempt = script.attempt(
            "0",
            |_| {},
            |step, result| match step {
                "scenario smoke" => Some(of_run(run.clone())),
                _ => Some(result),
            },
        );
        let mut rollout = rollout();
        rollout.stages[0].must_apply = vec![name.to_owned()];
        let (stage, history, now) = (&rollout.stages[0], &script.history, &script.now());
        let attempt = &history.attempts[attempt as usize - 1];
        decide(&Case { rollout: &rollout, stage, history, attempt, now, check: &|_| None })
    };
    let mut run = run();
    run.gates[0].held = vec![objective(Verdict::Pass, "wrongful_eviction")];
    run.gates[0].untested = vec![objective(Verdict::NotApplicable, "no_eviction")];
    assert_eq!(with("wrongful_eviction", run.clone()).decision, Decision::Go);
    holds(&with("no_eviction", run.clone()), "`no_eviction` must apply, and `ux / violations");
    holds(&with("violations", run.clone()), "was exercised in no run");
    holds(&with("no_evictoin", run), "was judged in no run");
}

#[test]
fn what_was_left_out_for_a_failure_is_no_reason_of_its_own() {
    let failed = spoilt(|name, result| match name {
        "precondition conform" => Some(StepResult::of(Verdict::Fail, "broken")),
        "scenario smoke" => None,
        _ => Some(result),
    });
    assert_eq!(failed.decision, Decision::NoGo);
    assert_eq!(failed.reasons.len(), 1, "{:?}", failed.reasons);
}

#[test]
fn what_went_well_is_a_go_and_opens_the_next_stage() {
    let first = spoilt(WELL);
    assert_eq!((first.decision, &first.opened), (Decision::Go, &Opened::First));
    assert!(first.reasons.is_empty());
    let next = second(|_| {}, |_| {}, WELL);
    assert_eq!(next.decision, Decision::Go, "{:?}", next.reasons);
    assert!(matches!(next.opened, Opened::By { .. }));
}

#[test]
fn a_step_that_was_not_carried_out_is_a_hold() {
    for step in ["builds before", "precondition conform", "scenario smoke", "builds after"] {
        let without = spoilt(|name, result| (name != step).then_some(result));
        holds(&without, "not carried out to its end");
    }
    holds(&spoilt(|_, _| None), "not carried out to its end");
    let no_hold = second(|_| {}, |_| {}, |name, result| (name != "hold").then_some(result));
    holds(&no_hold, "not carried out to its end: `hold`");
}

#[test]
fn a_step_that_found_nothing_out_is_a_hold_and_one_that_failed_a_no_go() {
    let open = on("precondition conform", |_| {
        Some(StepResult::of(Verdict::Inconclusive, "the target is gone").next("start it"))
    });
    holds(&open, "the target is gone");
    let failed = on("precondition conform", |_| Some(StepResult::of(Verdict::Fail, "broken")));
    assert_eq!(failed.decision, Decision::NoGo);
    let both = spoilt(|name, result| match name {
        "precondition conform" => Some(StepResult::of(Verdict::Inconclusive, "open")),
        "scenario smoke" => Some(of_run(run_with(Verdict::Fail, "auth_errors", ""))),
        _ => Some(result),
    });
    assert_eq!(both.decision, Decision::NoGo, "what failed goes first");
    assert_eq!(both.reasons[0].decision, Decision::NoGo);
}

#[test]
fn a_run_without_samples_is_a_hold() {
    let none = on_run(|run| (run.decision, run.verdict) = (Decision::Hold, Verdict::Inconclusive));
    holds(&none, "scenario smoke: HOLD");
    holds(&on_run(|run| run.deliveries = 0), "nothing was delivered");
}

#[test]
fn a_run_that_was_cut_is_a_hold() {
    holds(&on_run(|run| run.finished = false), "did not come to its end");
    holds(&on_run(|run| run.manifest_sha256 = None), "has no manifest");
}

#[test]
fn evidence_of_another_build_or_of_none_is_a_hold() {
    holds(&on_run(|run| run.build = Some("6".to_owned())), "the build is to be `7`");
    holds(&on_run(|run| run.build = None), "not told");
    let mix = on("builds after", |_| Some(builds(&[("6", 2), ("7", 2)])));
    holds(&mix, "`6` 22 %");
    let unnamed = |run: &mut RunSummary| {
        let named = [("7".to_owned(), 10)].into();
        run.sockets = Some(SocketBuilds { asked: Some("7".to_owned()), named, unnamed: 10 });
    };
    holds(&on_run(unnamed), "`7` 50 % (10 of 20), no header 50 % (10 of 20)");
    let silent = second(
        |_| {},
        |_| {},
        |name, mut result| {
            if name == "hold" {
                (result.builds, result.builds_failed) =
                    ([("7".to_owned(), 10)].into(), [("it timed out".to_owned(), 10)].into());
            }
            Some(result)
        },
    );
    holds(&silent, "`7` 50 % (10 of 20), not answered (it timed out) 50 % (10 of 20)");
    let part = second(
        |_| {},
        |_| {},
        |name, mut result| {
            if let Some(hold) = result.hold.as_mut().filter(|_| name == "hold") {
                hold.segments[0].build = Some("6".to_owned());
            }
            Some(result)
        },
    );
    holds(&part, "`6` ");
    let none = spoilt(|name, result| match name {
        "builds before" | "builds after" => Some(passed()),
        "scenario smoke" => Some(passed()),
        _ => Some(result),
    });
    holds(&none, "nothing shows that the build is `7`");
    let mut script = Script::new();
    let attempt = script.attempt("0", |begun| begun.build = None, WELL);
    holds(&decided(&script, attempt), "nobody said which build");
}

#[test]
fn a_target_without_metrics_is_a_hold() {
    holds(&on_run(|run| run.fanout = None), "showed no fan-out metrics");
}

#[test]
fn target_and_clients_that_contradict_each_other_are_a_hold() {
    let against = on_run(|run| {
        let fanout = run.fanout.as_mut().expect("it has some");
        fanout.contradictions.push("the head went back".to_owned());
    });
    holds(&against, "contradict");
}

#[test]
fn an_empty_set_of_gates_is_a_hold() {
    holds(&on_run(|run| run.gates.clear()), "the gate, rule or metric `ux` was judged in no run");
    holds(&on_run(|run| run.gates[0].verdict = None), "was judged in no run");
    holds(
        &on_run(|run| run.gates[0].verdict = Some(Verdict::NotApplicable)),
        "was judged in no run",
    );
    holds(&on_run(|run| run.gates[0].advisory = true), "was judged in no run");
    // What was exercised nowhere of a gate that must apply was not judged, whatever the rest of it came to.
    let untested = |run: &mut RunSummary| {
        run.gates[0].untested = vec![objective(Verdict::NotApplicable, "no_eviction")];
        run.gates[0].held = vec![objective(Verdict::Pass, "wrongful_eviction")];
    };
    let open = on_run(untested);
    holds(
        &open,
        "`ux` must apply, and `ux / violations [rule=no_eviction]` was exercised in no run of the stage: smoke:",
    );
    assert!(open.reasons[0].next.contains("what of it must be: `wrongful_eviction`"), "{open:?}");
    let elsewhere = on_run(|run| {
        untested(run);
        run.gates.push(run.gates[0].clone());
        run.gates[1].held.push(objective(Verdict::Pass, "no_eviction"));
    });
    assert_eq!(elsewhere.decision, Decision::Go, "{elsewhere:?}");
    let of_no_gate_that_must = on_run(|run| {
        run.gates.push(run.gates[0].clone());
        run.gates[1].name = "slow".to_owned();
        run.gates[1].untested = vec![objective(Verdict::NotApplicable, "no_eviction")];
    });
    assert_eq!(of_no_gate_that_must.decision, Decision::Go, "not applicable is no HOLD by itself");
    let mut rollout = rollout();
    rollout.stages[0].must_apply.clear();
    let mut script = Script::new();
    script.attempt("0", |_| {}, WELL);
    let (history, now) = (&script.history, script.now());
    let (stage, attempt) = (&rollout.stages[0], &history.attempts[0]);
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    holds(&decide(&case), "names no gate that must apply");
}

#[test]
fn a_stage_that_asks_no_precondition_is_a_hold() {
    let mut rollout = rollout();
    rollout.stages[0].preconditions.clear();
    let mut script = Script::new();
    script.attempt("0", |_| {}, WELL);
    let (history, now) = (&script.history, script.now());
    let (stage, attempt) = (&rollout.stages[0], &history.attempts[0]);
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_| None };
    holds(&decide(&case), "the stage asks no precondition");
}

#[test]
fn a_clock_that_was_set_back_is_a_hold() {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, WELL);
    let mut earlier = script.now();
    earlier.unix_ms -= 3_600_000;
    holds(&decided_with(&script, attempt, &earlier, &|_| None), "the clock was set back");
    let mut script = Script::new();
    script.take(&Entry::Begun(Box::new(crate::testing::begun(1, "0"))));
    let mut back = at(9);
    back.unix_ms -= 60_000;
    script
        .history
        .take(&back, &Entry::Resumed { attempt: 1, owner: "Ada".to_owned() })
        .expect("it follows");
    script.wait(20);
    holds(&decided(&script, 1), "the clock was set back");
}

#[test]
fn a_hold_that_was_not_observed_is_one() {
    let unseen = second(
        |_| {},
        |_| {},
        |name, result| match name {
            "hold" => {
                let mut hold = held();
                hold.verdict = Verdict::Inconclusive;
                hold.what = "56 s of 60 s were observed".to_owned();
                Some(hold)
            }
            _ => Some(result),
        },
    );
    holds(&unseen, "56 s of 60 s were observed");
}
