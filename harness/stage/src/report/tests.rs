use super::*;
use crate::decide::decide;
use crate::render;
use crate::testing::{Script, failed_objective, rollout};

fn report(
    spoil: impl Fn(&str, crate::entry::StepResult) -> Option<crate::entry::StepResult>,
) -> StageReport {
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, |_, result| Some(result));
    script.end(first, Decision::Go);
    let attempt = script.attempt("0", |_| {}, spoil);
    let rollout = rollout();
    let (history, now) = (&script.history, script.now());
    let attempt = &history.attempts[attempt as usize - 1];
    let stage = &rollout.stages[0];
    let case = Case { rollout: &rollout, stage, history, attempt, now: &now, check: &|_, _| None };
    StageReport::of(&case, &decide(&case), "2027-01-15-stage-0-attempt-2")
}

#[test]
fn the_decision_stands_first_with_attempt_owner_and_time() {
    let report = report(|_, result| Some(result));
    assert_eq!(report.headline(), "GO: stage 0, Stage 0, build 7, attempt 2 of 2");
    let text = render::markdown(&report);
    let mut lines = text.lines().filter(|line| !line.is_empty());
    assert_eq!(lines.next(), Some("# GO: stage 0, Stage 0, build 7, attempt 2 of 2"));
    let statement = lines.next().expect("a statement");
    assert!(statement.contains("Owner: Ada. Decided at t+"), "{statement}");
    assert!(text.contains("`khala-harness stage 1 --owner NAME`"), "{text}");
    assert!(text.contains("2 (this)"), "every attempt is listed: {text}");
}

#[test]
fn a_no_go_has_issues_to_paste_and_the_plan_in_order() {
    let report = report(|name, result| match name {
        "scenario smoke" => Some(failed_objective("auth_errors", "")),
        _ => Some(result),
    });
    assert_eq!(report.decision, Decision::NoGo);
    let text = render::markdown(&report);
    for says in [
        "Objective: error-budget / auth_errors\nMust hold: proportion <= 3%\nMeasured: 12.000 %\n95 % bounds: at least \
         9.000 %",
        "Evidence: runs/one/summary.md (manifest sha256 ab)",
        "**1. Traffic rollback: do it**",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what}: {text}"));
    assert!(at("**1. Traffic") < at("**2. Runtime guard"));
    assert!(at("**2. Runtime guard") < at("**3. Surface"));
    assert!(at("**3. Surface") < at("**4. Validation"));
    let page = render::html(&report);
    assert!(page.starts_with("<!doctype html>") && !page.contains("<script"));
    assert!(page.contains("NO-GO: stage 0"));
}

#[test]
fn what_is_written_is_read_again() {
    let report = report(|_, result| Some(result));
    let text = render::json(&report).expect("serialises");
    assert_eq!(serde_json::from_str::<StageReport>(&text).expect("reads"), report);
}
