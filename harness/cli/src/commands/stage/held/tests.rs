//! What parts of a hold come to, without running any.

use std::path::PathBuf;

use serde_json::json;

use super::*;

fn now() -> Stamp {
    let unix_ms = 1_800_000_000_000;
    Stamp { at: "2027-01-15T08:00:00Z".to_owned(), unix_ms, uptime_ms: 1, boot: "b".to_owned() }
}

/// A part with an objective of this verdict, by a run that came to its end or was cut.
fn part(objective: Verdict, finished: bool) -> Part {
    let (decision, verdict) = match (objective, finished) {
        (Verdict::Fail, _) => ("NO-GO", "FAIL"),
        (_, false) => ("HOLD", "INCONCLUSIVE"),
        (Verdict::Warn, true) => ("HOLD", "WARN"),
        (Verdict::Inconclusive, true) => ("HOLD", "INCONCLUSIVE"),
        _ => ("GO", "PASS"),
    };
    let open = match objective {
        Verdict::Pass | Verdict::NotApplicable => json!([]),
        objective => json!([{
            "metric": "delivery", "selector": "", "require": "p95 <= 1s", "warn": null, "verdict": objective, "n": 9,
            "measured": "", "bound": "", "reason": ""
        }]),
    };
    let run = json!({
        "bundle": "runs/one", "manifest_sha256": "ab", "scenario": "hold", "profile": null, "seed": 1, "started_at": "t",
        "duration_s": 60.0, "decision": decision, "verdict": verdict, "finished": finished, "ended_early": null,
        "build": "7", "clients_peak": 8, "deliveries": 9, "acknowledged": 9, "violations": 0,
        "gates": [{ "name": "ux", "verdict": objective, "advisory": false, "open": open, "passed": 0 }],
        "reasons": [], "told": [], "kpis": [], "fanout": null, "command": "khala-harness run hold.toml"
    });
    let run: RunSummary = serde_json::from_value(run).expect("a run");
    let segment = Segment {
        bundle: run.bundle.clone(),
        manifest_sha256: run.manifest_sha256.clone(),
        began: run.started_at.clone(),
        observed_s: 60.0,
        finished,
        decision: run.decision,
        sockets: None,
        build: run.build.clone(),
        warned: objective == Verdict::Warn,
    };
    Part { segment, run }
}

fn held(parts: Vec<Part>) -> Held {
    Held { parts, ..Held::default() }
}

fn waiver() -> Waived {
    Waived {
        gate: "ux".to_owned(),
        metric: None,
        owner: "Ada".to_owned(),
        reason: "known".to_owned(),
        expires: "2028-01-01".to_owned(),
    }
}

#[test]
fn a_hold_goes_on_after_a_warning_that_is_waived_and_after_no_other() {
    let decided = |objective, finished, waivers: &[Waived]| {
        held(vec![part(objective, finished)]).is_decided(waivers, &now())
    };
    for finished in [true, false] {
        assert!(!decided(Verdict::Warn, finished, &[waiver()]), "{finished}");
        assert!(decided(Verdict::Warn, finished, &[]), "{finished}");
        let expired = Waived { expires: "2027-01-01".to_owned(), ..waiver() };
        assert!(decided(Verdict::Warn, finished, &[expired]), "{finished}");
        assert!(decided(Verdict::Fail, finished, &[waiver()]), "{finished}");
        assert!(!decided(Verdict::Pass, finished, &[]), "{finished}");
    }
    assert!(decided(Verdict::Inconclusive, true, &[waiver()]), "a part that came to its end open");
    assert!(!decided(Verdict::Inconclusive, false, &[]), "one that was cut says nothing");
}

#[test]
fn a_part_whose_evidence_is_gone_decides_the_hold() {
    let mut gone = held(vec![part(Verdict::Pass, true)]);
    assert!(!gone.is_decided(&[], &now()));
    gone.amiss.push(("its evidence is missing".to_owned(), tries::MISSING));
    assert!(gone.is_decided(&[], &now()));
    assert_eq!(gone.said()[0], "its evidence is missing");
}

#[test]
fn the_part_that_failed_speaks_for_all_else_the_last_that_came_to_its_end() {
    let of = |parts: &[(Verdict, bool)]| {
        held(parts.iter().map(|(objective, finished)| part(*objective, *finished)).collect())
            .decisive()
    };
    assert_eq!(of(&[]), None);
    assert_eq!(
        of(&[(Verdict::Pass, false), (Verdict::Pass, true), (Verdict::Pass, false)]),
        Some(1)
    );
    assert_eq!(of(&[(Verdict::Fail, false), (Verdict::Pass, true)]), Some(0));
    assert_eq!(of(&[(Verdict::Pass, false), (Verdict::Pass, false)]), Some(1));
}

#[test]
fn a_part_that_was_killed_as_it_wrote_its_evidence_is_no_end_and_speaks_for_none() {
    let unvouched = || {
        let mut one = part(Verdict::Pass, true);
        (one.segment.manifest_sha256, one.run.manifest_sha256) = (None, None);
        one
    };
    let alone = held(vec![unvouched()]);
    assert!(!alone.has_an_end(), "another part has to be run");
    assert!(!alone.is_decided(&[], &now()));
    let after = held(vec![part(Verdict::Pass, true), unvouched()]);
    assert!(after.has_an_end());
    assert_eq!(after.decisive(), Some(0));
    assert_eq!(held(vec![unvouched(), part(Verdict::Pass, true)]).decisive(), Some(1));
}

#[test]
fn the_figures_of_a_hold_are_those_of_all_of_its_parts() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bundle/tests/data/go");
    let report = Bundle::open(&dir).and_then(|bundle| bundle.settle()).expect("a bundle").report();
    let of = |times: usize| {
        let mut figures = Figures::default();
        (0..times).for_each(|_| figures.add(&report));
        figures.whole()
    };
    let (once, thrice) = (of(1), of(3));
    let alone = RunSummary::of(&report, String::new(), None, None, None, String::new());
    assert_eq!(once.kpis, alone.kpis, "one part is the whole");
    assert_eq!((once.deliveries, thrice.deliveries), (alone.deliveries, 3 * alone.deliveries));
    assert_eq!(thrice.clients_peak, alone.clients_peak);
    assert!(!once.kpis.is_empty());
    for (one, three) in once.kpis.iter().zip(&thrice.kpis) {
        assert_eq!((&one.metric, 3 * one.n), (&three.metric, three.n));
    }
    let max = |kpis: &[khala_stage::evidence::Kpi]| {
        let delivery = kpis.iter().find(|kpi| kpi.metric == "delivery").expect("it is measured");
        delivery.figure.rsplit_once("max ").map(|(_, max)| max.to_owned())
    };
    assert_eq!(max(&once.kpis), max(&thrice.kpis), "the largest of all is the largest of each");
}
