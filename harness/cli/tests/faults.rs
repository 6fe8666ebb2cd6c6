//! Faults against the reference runtime without a defect: they bite as planned, which the target's own
//! side says, and nothing is held against it. And faults that do not bite: nothing passes.

mod support;

use rustix::process::Signal;
use serde_json::Value;
use support::processes::{is_gone_soon, reference_of};
use support::{Ended, Harness, exit, number, reasons, scenario, violated};

/// The scenario that most tests share, with these faults in place of its storm's.
fn run_with(faults: &str) -> (Harness, tempfile::TempDir) {
    let tiny = std::fs::read_to_string(scenario("tiny.toml")).expect("is there");
    let (head, rest) = tiny.split_once("[[phase.fault]]").expect("it has a fault");
    let (_, tail) = rest.split_once("\n# With no failure").expect("the gates follow it");
    let folder = tempfile::TempDir::new().expect("a folder for the scenario");
    let file = folder.path().join("faults.toml");
    std::fs::write(&file, format!("{head}{faults}\n# With no failure{tail}")).expect("is written");
    (Harness::run(file), folder)
}

/// All that was planned was hit, and no rule is broken.
#[track_caller]
fn bites_and_breaks_nothing(run: &Ended) -> Vec<Value> {
    let report = run.report();
    assert_eq!(violated(&report), Vec::<String>::new(), "{}", reasons(&report));
    let faults = report["faults"].as_array().expect("faults").clone();
    for fault in &faults {
        assert_eq!(fault["effective"], fault["planned"], "{fault}");
    }
    faults
}

fn findings(report: &Value) -> Vec<(String, u64)> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let found = findings.map(|finding| {
        let name = finding["name"].as_str().expect("a name").to_owned();
        (name, number(finding, "/count"))
    });
    found.collect()
}

#[test]
fn cursors_beyond_head_and_garbage_are_answered_and_the_clients_come_back_to_the_truth() {
    let (harness, _folder) = run_with(
        r#"
[[phase.fault]]
type = "cursor"
cohort = "ios"
at = "500ms"
attributes = { future_by = 100000 }

[[phase.fault]]
type = "cursor"
cohort = "desktop"
at = "500ms"
attributes = { stale_by = 5 }

[[phase.fault]]
type = "cursor"
cohort = "desktop"
at = "3500ms"
attributes = { garbage = "negative" }
"#,
    );
    let run = harness.set("phase.storm.duration=7s").ended().exits(exit::GO);
    let faults = bites_and_breaks_nothing(&run);
    assert_eq!(faults.len(), 3);
    // The contract has a word for garbage and none for a cursor beyond head.
    assert_eq!(findings(&run.report()), [("future_cursor_accepted".to_owned(), 12)]);
}

#[test]
fn cursors_that_are_stale_are_refused_and_the_targets_own_count_says_so() {
    let (harness, _folder) = run_with(
        r#"
[[phase.fault]]
type = "cursor"
cohort = "desktop"
at = "500ms"
attributes = { stale_by = 60 }

[[phase.fault]]
type = "disconnect"
cohort = "ios"
at = "500ms"

[target.topics."runtime.codex_worker_events"]
replay_budget_events = 50
"#,
    );
    let run = harness.set("phase.steady.duration=5s").ended().exits(exit::GO);
    let faults = bites_and_breaks_nothing(&run);
    let proof = faults[0]["proof"].as_str().expect("a sentence");
    assert!(proof.starts_with("subscribes with such a cursor that the target answered"), "{proof}");
    // Had its own count been another than what the clients were told, that would be a finding.
    assert_eq!(findings(&run.report()), []);
    let judged = &run.report()["oracle"];
    assert!(judged.to_string().contains("stale_not_signalled"), "{judged}");
}

#[test]
fn a_cursor_older_than_all_there_is_hits_nobody_and_nothing_passes() {
    let (harness, _folder) = run_with(
        r#"
[[phase.fault]]
type = "cursor"
at = "500ms"
attributes = { stale_by = 1000000 }
"#,
    );
    let run = harness.ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(
        (&report["faults"][0]["planned"], &report["faults"][0]["effective"]),
        (&24.into(), &0.into())
    );
    assert!(reasons(&report).contains("cursor"), "{}", reasons(&report));
    assert_eq!(violated(&report), Vec::<String>::new());
}

/// A restart half a second into the storm.
fn restart(signal: &str) -> (Harness, tempfile::TempDir) {
    let fault = "\n[[phase.fault]]\ntype = \"restart\"\nat = \"500ms\"\n";
    run_with(&format!("{fault}attributes = {{ signal = \"{signal}\" }}\n"))
}

#[test]
fn a_runtime_that_keeps_its_state_survives_a_restart_and_a_kill() {
    for signal in ["term", "kill"] {
        let (harness, _folder) = restart(signal);
        let run = harness.set("phase.storm.duration=6s").ended().exits(exit::GO);
        let faults = bites_and_breaks_nothing(&run);
        assert_eq!((&faults[0]["planned"], &faults[0]["kind"]), (&1.into(), &"restart".into()));
        let report = run.report();
        assert_eq!(number(&report, "/fleet/clients_live_at_end"), 24);
        assert!(report["target"]["lost"].is_null(), "a planned restart is planned");
        // Neither counts that began anew nor a poller that met nobody are held against anyone.
        assert_eq!(findings(&report), []);
    }
}

#[test]
fn a_runtime_that_forgets_its_topics_at_a_restart_is_caught() {
    let (harness, _folder) = restart("kill");
    let run = harness
        .set("phase.storm.duration=5s")
        .set("oracle.drain_within=4s")
        .defect("seq_reset_on_restart")
        .ended()
        .exits(exit::NO_GO);
    let report = run.report();
    assert!(violated(&report).contains(&"lost_publish".to_owned()), "{:?}", violated(&report));
}

#[test]
fn a_second_child_ends_by_itself_when_its_harness_is_killed() {
    let (harness, folder) = restart("term");
    // Its state is left behind when there is nobody to remove it.
    let temporary = folder.path().to_str().expect("text");
    let mut run = harness.env("TMPDIR", temporary).set("phase.storm.duration=60s").start();
    run.wait_for_phase("steady");
    let first = reference_of(run.pid());
    run.wait_for("the proof", |event| event["event"] == "fault_proven");
    let second = reference_of(run.pid());
    assert!(!first.runs() && first != second);
    run.signal(Signal::KILL);
    is_gone_soon(second);
    run.ended();
}
