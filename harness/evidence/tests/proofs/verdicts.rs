//! From objectives to gates to the run: what outranks what, and what never counts as passed.

use khala_evidence::Record;
use khala_evidence::judge::{Decision, RunVerdict, Verdict};

use crate::support::edit::{apply, missing_mid_stream, no_reply};
use crate::support::plans::{Planned, STORM, edited};
use crate::support::trial::{Trial, of, rule};

const WARNS: (&str, &str) = ("warn = \"p(90) < 4s\"", "warn = \"p(90) < 500ms\"");
const FAILS: (&str, &str) = ("require = \"max < 5s\"", "require = \"max < 1ms\"");

fn unfit(mut trial: Trial) -> Trial {
    for record in &mut trial.records {
        if let Record::SchedulerLag { lag_us, .. } = record {
            *lag_us = 2_000_000;
        }
    }
    trial
}

fn of_the_run(verdict: &RunVerdict) -> (Verdict, Decision) {
    (verdict.verdict, verdict.decision)
}

#[test]
fn the_worst_of_all_verdicts_is_that_of_the_run() {
    use Verdict::{Fail, Inconclusive, Pass, Warn};
    assert!(Fail > Inconclusive && Inconclusive > Warn && Warn > Pass);
    let judged = |edits: &[(&str, &str)], interrupted| {
        let mut trial = Trial::storm(edits);
        trial.facts.interrupted = interrupted;
        of_the_run(&trial.judge())
    };
    assert_eq!(judged(&[], false), (Pass, Decision::Go));
    assert_eq!(judged(&[WARNS], false), (Warn, Decision::Hold));
    assert_eq!(judged(&[WARNS], true), (Inconclusive, Decision::Hold));
    assert_eq!(judged(&[FAILS], false), (Fail, Decision::NoGo));
    assert_eq!(judged(&[WARNS, FAILS], true), (Fail, Decision::NoGo));
}

#[test]
fn the_worst_of_its_objectives_is_the_verdict_of_a_gate_and_its_reason_comes_first() {
    let verdict = Trial::storm(&[WARNS, FAILS]).judge();
    let gates: Vec<_> = verdict.gates.iter().map(|g| (g.name.as_str(), g.verdict)).collect();
    assert_eq!(
        gates,
        [
            ("error-budget", Some(Verdict::Pass)),
            ("reconnect", Some(Verdict::Warn)),
            ("ux", Some(Verdict::Fail)),
            ("stability", Some(Verdict::Pass)),
            ("oracle", Some(Verdict::Pass)),
        ]
    );
    assert!(verdict.reasons[0].starts_with("FAIL: ux: delivery max < 1ms: "), "{verdict:#?}");
    assert!(verdict.reasons[1].starts_with("WARN: reconnect: "), "{verdict:#?}");
}

#[test]
fn a_warning_says_which_claim_does_not_hold_and_is_none_when_both_do() {
    let verdict = Trial::storm(&[WARNS]).judge();
    for objective in of(&verdict, "reconnect", "time_to_recovered") {
        assert_eq!(objective.verdict, Verdict::Warn);
        assert!(objective.reason.contains("`p(90) < 500ms` does not hold"), "{objective:?}");
    }
    // A required claim that does not hold is no warning.
    let soon = ("share = 0.5\ntopics", "share = 0.5\nbackoff = { fixed = \"300ms\" }\ntopics");
    let both = [("require = \"p(90) < 6s\"", "require = \"p(90) < 600ms\""), WARNS, soon];
    let verdict = Trial::storm(&both).judge();
    for objective in of(&verdict, "reconnect", "time_to_recovered") {
        assert_eq!(objective.verdict, Verdict::Fail);
    }
}

#[test]
fn a_proof_stays_a_proof_when_the_generator_was_unfit() {
    let mut trial = Trial::storm(&[]);
    trial.records = apply(&trial.records, &missing_mid_stream(&trial.records)[100]);
    let verdict = unfit(trial).judge();
    assert_eq!(of_the_run(&verdict), (Verdict::Fail, Decision::NoGo));
    assert_eq!(rule(&verdict, "gap").verdict, Verdict::Fail);
    assert_eq!(of(&verdict, "ux", "delivery")[0].verdict, Verdict::Inconclusive);
    let named = of(&verdict, "ux", "violations");
    let failed: Vec<_> = named.iter().filter(|o| o.verdict == Verdict::Fail).collect();
    assert_eq!(failed.len(), 1, "the objective on violations names the rule as well");
    assert_eq!((failed[0].selector.as_str(), failed[0].bad), ("rule=gap", 1));
}

#[test]
fn lateness_is_a_failure_of_the_target_only_when_the_generator_was_fit() {
    let late = || {
        let mut trial = Trial::storm(&[]);
        let (change, _) = no_reply(&trial.records)[3].clone();
        trial.records = apply(&trial.records, &change);
        trial
    };
    let verdict = late().judge();
    assert_eq!(rule(&verdict, "no_convergence").verdict, Verdict::Fail);
    assert_eq!(rule(&verdict, "no_convergence").bad, 1);

    let verdict = unfit(late()).judge();
    let lateness = rule(&verdict, "no_convergence");
    assert_eq!((lateness.verdict, lateness.bad), (Verdict::Inconclusive, 1));
    assert!(lateness.reason.contains("the generator was unfit"), "{lateness:?}");
    assert_eq!(of_the_run(&verdict), (Verdict::Inconclusive, Decision::Hold));
}

#[test]
fn a_gate_that_the_profile_does_not_name_is_listed_and_has_no_verdict() {
    let text = format!("{}\n[profile.smoke]\njudge = [\"reconnect\"]\n", edited(STORM, &[FAILS]));
    let trial = Trial::played(Planned::with_profile(&text, Some("smoke")));
    let verdict = trial.judge();
    let gates: Vec<_> =
        verdict.gates.iter().map(|g| (g.name.as_str(), g.judged, g.verdict)).collect();
    assert_eq!(
        gates,
        [
            ("error-budget", false, None),
            ("reconnect", true, Some(Verdict::Pass)),
            ("ux", false, None),
            ("stability", true, Some(Verdict::Pass)),
            ("oracle", true, Some(Verdict::Pass)),
        ]
    );
    assert!(verdict.gates[2].objectives.is_empty(), "not even its objectives are judged");
    // With all gates judged, the same run fails.
    assert_eq!(of_the_run(&Trial::storm(&[FAILS]).judge()).0, Verdict::Fail);
}

#[test]
fn the_oracle_is_judged_whatever_the_scenario_gates() {
    let text = format!("{STORM}\n[profile.smoke]\njudge = [\"reconnect\"]\n");
    let mut trial = Trial::played(Planned::with_profile(&text, Some("smoke")));
    trial.records = apply(&trial.records, &missing_mid_stream(&trial.records)[0]);
    let verdict = trial.judge();
    assert_eq!(of_the_run(&verdict), (Verdict::Fail, Decision::NoGo));
    assert_eq!(verdict.gates.last().expect("the oracle's").verdict, Some(Verdict::Fail));
}
