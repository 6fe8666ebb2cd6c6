//! Bundles of an earlier build, judged by this one: equal, rule by rule and objective by objective.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use khala_bundle::{Bundle, Evidence, verify};
use serde_json::Value;

/// The bundles, and what each said.
const KEPT: [(&str, &str); 3] = [("go", "GO"), ("no-go", "NO-GO"), ("killed", "HOLD")];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// What the build before made of a bundle. Not as this build's type: the test is about what was said.
fn said(name: &str) -> Value {
    let text = std::fs::read(data(name).join("run.json")).expect("it was written");
    serde_json::from_slice(&text).expect("JSON")
}

fn settled(name: &str) -> Evidence {
    Bundle::open(&data(name)).expect("a bundle").settle().expect("it is read")
}

/// Every verdict of a report, with its figures, by gate, metric, selector and phases.
fn verdicts(report: &Value) -> BTreeMap<String, Value> {
    let mut verdicts = BTreeMap::new();
    for gate in report["gates"].as_array().expect("gates") {
        for objective in gate["objectives"].as_array().expect("objectives") {
            let key = ["metric", "selector", "during", "require"].map(|key| &objective[key]);
            let told = ["verdict", "n", "bad", "estimate", "lower", "upper", "reason"];
            let told: Vec<_> = told.iter().map(|key| objective[key].clone()).collect();
            let key = format!("{} {key:?}", gate["name"]);
            assert!(verdicts.insert(key, told.into()).is_none(), "told once");
        }
    }
    verdicts
}

fn assert_told_again(name: &str, was: &Value, is: &Value) {
    let head = ["run_id", "decision", "verdict", "reasons", "interrupted", "finished", "faults"];
    for key in head.into_iter().chain(["exposures", "findings", "load", "fleet", "phases"]) {
        assert_eq!(is[key], was[key], "{name}: {key}");
    }
    for tally in ["judged", "violations", "consequences", "undecided"] {
        let (was, is) = (&was["oracle"][tally], &is["oracle"][tally]);
        for (rule, count) in was.as_object().expect("rules") {
            assert_eq!(&is[rule], count, "{name}: {tally} of {rule}");
        }
    }
    assert_eq!(is["oracle"], was["oracle"], "{name}: what the oracle says");
    let (was, is) = (verdicts(was), verdicts(is));
    assert!(was.len() > 10, "{name}: the oracle's rules alone are more");
    for (objective, verdict) in &was {
        assert_eq!(is.get(objective), Some(verdict), "{name}: {objective}");
    }
    assert_eq!(is.len(), was.len(), "{name}: nothing else is judged");
}

#[test]
fn the_journals_of_an_earlier_build_come_to_what_it_said() {
    for (name, decision) in KEPT {
        let was = said(name);
        assert_eq!(was["decision"], decision);
        let is = serde_json::to_value(settled(name).report()).expect("JSON");
        assert_told_again(name, &was, &is);
    }
    let gaps = &said("no-go")["oracle"]["violations"]["gap"];
    assert!(gaps.as_u64() > Some(0), "one of them is broken by a rule");
}

#[test]
fn the_records_of_an_earlier_build_come_to_what_it_said() {
    for name in ["go", "no-go"] {
        let bundle = Bundle::open(&data(name)).expect("a bundle");
        let recorded = bundle.settle_recording().expect("it is whole");
        let is = serde_json::to_value(recorded.report()).expect("JSON");
        assert_told_again(name, &said(name), &is);
        // Frames are not recorded, and nothing else is missing.
        let mut gathered = bundle.settle().expect("it is read").settled;
        gathered.stories.clone_from(&recorded.settled.stories);
        assert!(gathered == recorded.settled, "{name}: journal and recording are one run");
    }
    let killed = Bundle::open(&data("killed")).expect("a bundle").settle_recording();
    let error = killed.err().expect("it is not whole");
    assert!(error.to_string().ends_with("it has no end: the run was killed"), "{error}");
}

#[test]
fn the_bundles_of_an_earlier_build_are_verified() {
    for (name, decision) in KEPT {
        let found = verify(&data(name)).expect("a bundle");
        assert_eq!(found.problems, [""; 0], "{name}");
        assert_eq!(found.decision.as_deref(), Some(decision));
        assert!(found.unchanged > 10, "{name}: every file has its digest");
    }
}
