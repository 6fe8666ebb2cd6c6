//! A verdict is held against its own facts, and a fact against what lies on disk.

use std::cell::Cell;

use super::*;

#[test]
fn evidence_that_is_no_longer_what_it_was_is_a_hold() {
    let mut script = Script::new();
    let attempt = script.attempt("0", |_| {}, WELL);
    let asked = Cell::new(0);
    let gone = |named: Named<'_>| {
        asked.set(asked.get() + 1);
        let manifest_sha256 = Some("ab");
        let decision = Decision::Go;
        assert_eq!(named, Named::Run { bundle: "runs/one", manifest_sha256, decision });
        Some("runs/one is gone".to_owned())
    };
    holds(&decided_with(&script, attempt, &script.now(), &gone), "runs/one is gone");
    assert!(asked.get() > 0);
}

#[test]
fn samples_of_a_hold_that_are_no_longer_what_they_were_are_a_hold_and_open_nothing() {
    let written = Head { lines: 3, sha256: "ab".to_owned() };
    let with = |name: &str, mut result: StepResult| {
        if let Some(hold) = result.hold.as_mut().filter(|_| name == "hold") {
            hold.samples = Some(Head { lines: 3, sha256: "ab".to_owned() });
        }
        Some(result)
    };
    let mut script = Script::new();
    let first = script.attempt("0", |_| {}, WELL);
    script.end(first, Decision::Go);
    let attempt = script.attempt("1", |_| {}, with);
    let edited = |named: Named<'_>| {
        let is_it = named == Named::Samples { attempt, head: &written };
        is_it.then(|| "builds-2.ndjson was edited".to_owned())
    };
    holds(&decided_with(&script, attempt, &script.now(), &edited), "builds-2.ndjson was edited");
    let well = decided_with(&script, attempt, &script.now(), &|_| None);
    assert_eq!(well.decision, Decision::Go, "{:?}", well.reasons);
}

#[test]
fn a_verdict_that_is_better_than_its_facts_is_none() {
    let better = |step: &'static str, change: fn(&mut StepResult)| {
        second(
            |_| {},
            |_| {},
            move |name, mut result| {
                if name == step {
                    change(&mut result);
                    result.verdict = Verdict::Pass;
                }
                Some(result)
            },
        )
    };
    let failed = better("scenario smoke", |result| {
        result.run = Some(Box::new(run_with(Verdict::Fail, "auth_errors", "")));
    });
    assert_eq!(failed.decision, Decision::NoGo, "{:?}", failed.reasons);
    let part = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            hold.segments[0].decision = Decision::NoGo;
        }
    });
    assert_eq!(part.decision, Decision::NoGo, "{:?}", part.reasons);
    holds(&better("scenario smoke", |result| result.run = None), "it has no run");
    holds(&better("hold", |result| result.hold = None), "it has no windows");
    let short = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            hold.observed_s = 30.0;
        }
    });
    holds(&short, "30 s of 60 s were observed");
    let other = better("hold", |result| {
        if let Some(hold) = &mut result.hold {
            (hold.wanted_s, hold.observed_s) = (30, 30.0);
        }
    });
    holds(&other, "30 s of 60 s were observed");
}

#[test]
fn a_run_of_a_try_that_was_interrupted_counts() {
    let with = |other: RunSummary, waivers: Vec<Waived>| {
        let mut script = Script::new();
        let attempt = script.attempt(
            "0",
            |begun| begun.waivers = waivers,
            |name, mut result| {
                if name == "scenario smoke" {
                    if other.objectives(Verdict::Warn).next().is_some() {
                        result.verdict = Verdict::Warn;
                    }
                    result.others.push(other.clone());
                }
                Some(result)
            },
        );
        decided(&script, attempt)
    };
    let failed = with(run_with(Verdict::Fail, "auth_errors", ""), Vec::new());
    assert_eq!(failed.decision, Decision::NoGo, "{:?}", failed.reasons);
    let warned = || run_with(Verdict::Warn, "auth_errors", "");
    holds(&with(warned(), Vec::new()), "scenario smoke");
    let waived = with(warned(), vec![waiver("error-budget", None, "2028-01-01")]);
    assert_eq!(waived.decision, Decision::Go, "{:?}", waived.reasons);
    holds(&with(RunSummary { build: Some("6".to_owned()), ..run() }, Vec::new()), "`6`");
}
