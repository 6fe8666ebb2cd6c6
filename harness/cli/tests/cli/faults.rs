//! Faults against the reference runtime without a defect: they bite as planned, which the target's own
//! side says, and nothing is held against it. And faults that do not bite: nothing passes.

use crate::support::by_hand::{ADMIN, ByHand, KEY, reference_with};
use crate::support::processes::{is_gone_soon, reference_of};
use crate::support::{Ended, Harness, exit, number, reasons, scenario, violated};
use rustix::process::Signal;
use serde_json::Value;

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

/// Clients whose cursor beyond head is accepted stay for a while before they come back with their own.
const PATIENT: &str = "gate.reconnect.objective.time_to_recovered.require=\"p(50) < 17s\"";

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
    let run = harness.set("phase.storm.duration=18s").set(PATIENT).ended().exits(exit::GO);
    let faults = bites_and_breaks_nothing(&run);
    assert_eq!(faults.len(), 3);
    // The contract has a word for garbage and none for a cursor beyond head.
    let report = run.report();
    let found = findings(&report);
    let names: Vec<_> = found.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, ["future_cursor_accepted", "future_cursor_silence"]);
    assert_eq!(found[0].1, 12);
    for finding in report["findings"].as_array().expect("findings") {
        let at = |key: &str| finding[key].as_u64().expect("a time");
        assert!(at("first_us") < at("last_us") && finding["client"].is_u64(), "{finding}");
    }
    let told = String::from_utf8_lossy(run.file("summary.md"));
    assert!(told.contains("Finding `future_cursor_accepted` (12 times, first at "), "{told}");
}

#[test]
fn a_target_whose_keys_say_so_may_not_accept_a_cursor_beyond_head() {
    let (harness, _folder) = run_with(
        r#"
[[phase.fault]]
type = "cursor"
cohort = "ios"
at = "500ms"
attributes = { future_by = 100000 }
"#,
    );
    let rules = "target.findings_are_rules=[\"future_cursor_accepted\", \"future_cursor_silence\"]";
    let run = harness.set("phase.storm.duration=18s").set(rules).ended().exits(exit::NO_GO);
    let broken = violated(&run.report());
    assert!(broken.contains(&"false_replay_complete".to_owned()), "{broken:?}");
    assert!(broken.contains(&"gap".to_owned()), "{broken:?}");
}

/// Tokens that were good once, on sockets beside those of the clients on desktops.
const OUTLIVE: &str = r#"
[[phase.fault]]
type = "token"
cohort = "desktop"
at = "100ms"
attributes = { kind = "expires" }

[[phase.fault]]
type = "token"
cohort = "desktop"
at = "200ms"
attributes = { kind = "revoked_device" }

[[phase.fault]]
type = "disconnect"
at = "500ms"
mode = "all"
attributes = { style = "reset" }
"#;

const OUTLIVE_ARE_RULES: &str =
    "target.findings_are_rules=[\"expired_token_lives\", \"revoked_device_lives\"]";

#[test]
fn a_token_that_expires_on_a_live_socket_is_a_finding_and_a_device_that_is_revoked_is_none() {
    let (harness, _folder) = run_with(OUTLIVE);
    let run = harness.set("phase.storm.duration=18s").ended().exits(exit::GO);
    let faults = bites_and_breaks_nothing(&run);
    let planned = number(&faults[0], "/planned");
    // The embedded runtime looks at a token when it opens a socket, and at revocations all the time.
    assert_eq!(findings(&run.report()), [("expired_token_lives".to_owned(), planned)]);
}

#[test]
fn it_is_a_leak_by_the_key_and_so_is_a_revocation_that_is_ignored() {
    let (harness, _folder) = run_with(OUTLIVE);
    let run = harness
        .set("phase.storm.duration=18s")
        .set(OUTLIVE_ARE_RULES)
        .defect("revocation_ignored")
        .ended()
        .exits(exit::NO_GO);
    let report = run.report();
    assert_eq!(violated(&report), ["authz_leak"]);
    let names: Vec<_> = findings(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["expired_token_lives", "revoked_device_lives"]);
}

/// What a run by URL needs of a reference that was started by hand.
fn by_url(harness: Harness, target: &ByHand) -> Harness {
    harness
        .set("target.kind=\"url\"")
        .set(&format!("target.url=\"{}\"", target.url))
        .set("target.exclusive=true")
        .set("auth.secret={ env = \"KEY\" }")
        .env("KEY", KEY)
        .env("RUNTIME_ADMIN_TOKEN", ADMIN)
}

#[test]
fn whom_one_run_has_revoked_is_nobody_of_the_next_run_at_the_same_target() {
    let target = reference_with(&[]);
    for _ in 0..2 {
        let (harness, _folder) = run_with(
            r#"
[[phase.fault]]
type = "token"
cohort = "desktop"
at = "100ms"
attributes = { kind = "revoked_device" }
"#,
        );
        let run = by_url(harness, &target).set("phase.storm.duration=10s").ended();
        bites_and_breaks_nothing(&run.exits(exit::GO));
    }
}

#[test]
fn a_target_that_ends_sockets_with_their_tokens_gives_no_finding_and_breaks_no_rule() {
    let target = reference_with(&["--ends-expired".as_ref()]);
    let (harness, _folder) = run_with(OUTLIVE);
    let run = by_url(harness, &target)
        .set("phase.storm.duration=18s")
        .set(OUTLIVE_ARE_RULES)
        .ended()
        .exits(exit::GO);
    bites_and_breaks_nothing(&run);
    assert_eq!(findings(&run.report()), []);
}

#[test]
fn updates_and_commands_over_the_limits_are_findings_and_the_clients_survive_them() {
    let target = reference_with(&["--payload-max".as_ref(), "1000000".as_ref()]);
    let (harness, _folder) = run_with("");
    let run = by_url(harness, &target)
        .set("load.codex-worker-events.rate=2/s")
        .set("load.codex-worker-events.payload_bytes=262144")
        .ended();
    let report = run.report();
    assert_eq!(violated(&report), Vec::<String>::new(), "{}", reasons(&report));
    let names: Vec<_> = findings(&report).into_iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"update_over_limit".to_owned()), "{names:?}");
    assert!(names.contains(&"publish_over_limit".to_owned()), "{names:?}");
    assert_eq!(number(&report, "/fleet/clients_live_at_end"), 24);
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
