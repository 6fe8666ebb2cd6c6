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

/// A metric that is settled from what journals of that build do not have: when each surface was last delivered to.
const SETTLED_LATER: &str = "\"delivery_spread\"";

/// That all that was told is told again. What an earlier build did not tell yet may be added.
fn assert_within(was: &Value, is: &Value, place: &str) {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => {
            for (key, was) in was {
                let is = is.get(key).unwrap_or_else(|| panic!("{place}: `{key}` is gone"));
                assert_within(was, is, &format!("{place}/{key}"));
            }
        }
        (Value::Array(was), Value::Array(is)) => {
            assert_eq!(is.len(), was.len(), "{place}");
            let both = was.iter().zip(is).enumerate();
            both.for_each(|(number, (was, is))| {
                assert_within(was, is, &format!("{place}/{number}"))
            });
        }
        _ => assert_eq!(is, was, "{place}"),
    }
}

fn assert_told_again(name: &str, was: &Value, is: &Value) {
    let head = ["run_id", "decision", "verdict", "reasons", "interrupted", "finished", "faults"];
    for key in head.into_iter().chain(["exposures", "findings", "load", "fleet", "oracle"]) {
        assert_within(&was[key], &is[key], &format!("{name}: {key}"));
    }
    let (was, is) = (verdicts(was), verdicts(is));
    assert!(was.len() > 10, "{name}: the oracle's rules alone are more");
    for (objective, verdict) in &was {
        assert_eq!(is.get(objective), Some(verdict), "{name}: {objective}");
    }
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
        // Of what this build gathers beyond, the journal of an earlier one has nothing.
        let json = |settled| serde_json::to_value(settled).expect("JSON");
        let (was, mut is) = (json(&gathered), json(&recorded.settled));
        let figures = is["metrics"]["distributions"].as_array_mut().expect("a list");
        figures.retain(|it| !it.to_string().contains(SETTLED_LATER));
        assert_within(&was, &is, &format!("{name}: journal and recording are one run"));
    }
    let killed = Bundle::open(&data("killed")).expect("a bundle").settle_recording();
    let error = killed.err().expect("it is not whole");
    assert!(error.to_string().ends_with("it has no end: the run was killed"), "{error}");
}

#[test]
fn the_bundles_of_an_earlier_build_are_verified() {
    for (name, decision) in KEPT {
        let found = verify(&data(name), None).expect("a bundle");
        assert_eq!(found.problems, [""; 0], "{name}");
        assert_eq!(found.decision.as_deref(), Some(decision));
        assert!(found.unchanged > 10, "{name}: every file has its digest");
    }
}

/// Holds this build against others on larger runs than are kept here.
#[test]
#[ignore = "reads the bundles that KHALA_BUNDLES names, one after another with `:` between"]
fn bundles_elsewhere_come_to_what_they_said() {
    let named = std::env::var_os("KHALA_BUNDLES").expect("KHALA_BUNDLES names bundles");
    for dir in std::env::split_paths(&named) {
        let name = dir.display().to_string();
        let text = std::fs::read(dir.join("run.json")).expect("it was written");
        let was: Value = serde_json::from_slice(&text).expect("JSON");
        let bundle = Bundle::open(&dir).expect("a bundle");
        let is = serde_json::to_value(bundle.settle().expect("settles").report()).expect("JSON");
        assert_told_again(&name, &was, &is);
        assert_eq!(verify(&dir, None).expect("a bundle").problems, [""; 0], "{name}");
        if was["finished"] == true && bundle.recording().expect("can be read").is_some() {
            let recorded = bundle.settle_recording().expect("it is whole").report();
            assert_told_again(&name, &was, &serde_json::to_value(recorded).expect("JSON"));
        }
    }
}
