//! Each defect of the reference runtime that the road is armed against: NO-GO, by the rule or gate that
//! must catch it, and by nothing that does not follow from it.

use crate::support::{
    Ended, Harness, exit, gates_with, number, objectives, reasons, scenario, violated,
};
use khala_reference::defect::CATALOGUE;
use serde_json::Value;

/// A run against a runtime with a defect. What is lost is waited for until the drain is over.
fn condemned(defect: &str) -> Ended {
    Harness::tiny()
        .set("phase.storm.duration=2500ms")
        .set("oracle.drain_within=4s")
        .defect(defect)
        .ended()
        .exits(exit::NO_GO)
}

/// A run in which two of twelve clients stop reading for a while.
fn slow() -> Harness {
    Harness::run(scenario("slow.toml"))
}

/// Insists on what the catalogue says of the defect. `primary` is said here once more, so that the
/// catalogue cannot quietly say something else.
fn is_caught(run: &Ended, name: &str, primary: &str) -> Value {
    let report = run.report();
    let defect = CATALOGUE.iter().find(|defect| defect.name == name).expect("is in the catalogue");
    assert_eq!(defect.primary, primary, "what must catch {name}");
    assert_eq!(report["decision"], "NO-GO");
    assert_eq!(report["verdict"], "FAIL");
    assert!(run.stdout.starts_with("NO-GO "), "{}", run.stdout);
    let started = report["target"]["defects"].to_string();
    assert!(started.contains(name), "the report says what the runtime was: {started}");

    let rules = violated(&report);
    let failed = gates_with(&report, "FAIL");
    let caught = match primary.strip_prefix("gate:") {
        Some(gate) => failed.iter().any(|failed| failed == gate),
        None => rules.iter().any(|rule| rule == primary),
    };
    assert!(caught, "{primary} must catch it; rules {rules:?}, gates {failed:?}");
    // What becomes of sockets and requests on a broken runtime follows from its being broken.
    let may_fail = |what: &str| {
        what == primary || defect.consequences.contains(&what) || what == "gate:stability"
    };
    let unexplained: Vec<_> = rules.iter().filter(|rule| !may_fail(rule)).collect();
    assert!(unexplained.is_empty(), "{unexplained:?} do not follow from {name}");
    let unexplained: Vec<_> = failed
        .iter()
        .filter(|gate| *gate != "oracle" && !may_fail(&format!("gate:{gate}")))
        .collect();
    assert!(unexplained.is_empty(), "gates {unexplained:?} do not follow from {name}");
    if !primary.starts_with("gate:") {
        assert!(failed.iter().any(|gate| gate == "oracle"), "{failed:?}");
        assert!(reasons(&report).contains(primary), "{}", reasons(&report));
        let lines = run.lines("violations.ndjson");
        assert!(lines.iter().any(|line| line["rule"] == primary), "{lines:?}");
    }
    report
}

#[test]
fn an_event_lost_on_reconnect_is_a_gap_that_names_client_topic_and_seqs() {
    let run = condemned("drop_on_reconnect");
    let report = is_caught(&run, "drop_on_reconnect", "gap");
    // The first of the stream's events that each of the twenty-four did not get; where all missed the
    // same one, it is listed once, with who noticed it first.
    assert_eq!(number(&report, "/oracle/violations/gap"), 24);
    let gaps: Vec<_> =
        run.lines("violations.ndjson").into_iter().filter(|line| line["rule"] == "gap").collect();
    assert!((1..=24).contains(&gaps.len()), "{gaps:?}");
    for gap in &gaps {
        let client = gap["client"].as_u64().expect("a client");
        assert!(client < 24, "{gap}");
        assert_eq!(gap["topic"], "runtime.codex_worker_events", "{gap}");
        let (from, to) = (number(gap, "/seqs/0"), number(gap, "/seqs/1"));
        assert!(0 < from && from == to, "one event each: {gap}");
        assert!(gap["message"].as_str().is_some_and(|text| !text.is_empty()), "{gap}");
    }
    let first = reasons(&report);
    assert!(first.contains("24 clients"), "each lost its own: {first}");
    assert!(first.contains("runtime.codex_worker_events"), "{first}");
}

#[test]
fn a_violation_is_seen_again_with_its_client_alone() {
    let run = condemned("drop_on_reconnect");
    let first = run.lines("violations.ndjson").into_iter().next().expect("a violation");
    let client = first["client"].as_u64().expect("a client");
    let seed = run.report()["scenario"]["seed"].clone();
    let again = format!(
        "khala-harness run scenario.resolved.toml --seed {seed} --only-client {client} --out-dir .."
    );
    assert_eq!(first["again"], again.as_str(), "{first}");
    let bundle = run.bundle.as_deref().expect("a bundle").display();
    let printed = format!(
        "khala-harness run {bundle}/scenario.resolved.toml --seed {seed} --only-client {client} \
         --out-dir {bundle}/.."
    );
    assert!(run.said().contains(&printed), "{}", run.stdout);

    // As it stands in the bundle, from the bundle.
    let (folder, bundle) = run.restored(|_| true);
    let quoted = format!("'{}'", env!("CARGO_BIN_EXE_khala-harness"));
    let shell = again.replace("khala-harness", &quoted);
    let mut shell =
        std::process::Command::new("sh").args(["-c", &shell]).current_dir(&bundle).spawn();
    let ended = shell.as_mut().expect("sh runs").wait().expect("it ends");
    assert_eq!(ended.code(), Some(exit::NO_GO));
    Harness::new("verify").arg(&bundle).ended_plain().exits(exit::GO);
    let beside = std::fs::read_dir(folder.path()).expect("can be listed").flatten();
    let other = beside.map(|entry| entry.path()).find(|path| path.is_dir() && *path != bundle);
    let other = other.expect("another");
    let report = std::fs::read(other.join("run.json")).expect("a report");
    let report: Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(number(&report, "/fleet/clients_peak"), 1);
    assert_eq!(number(&report, "/oracle/violations/gap"), 1);
    let gap = &report["oracle"]["kept"][0];
    assert_eq!((&gap["rule"], gap["client"].as_u64()), (&Value::from("gap"), Some(client)));
}

#[test]
fn a_subscribe_that_is_never_answered_is_no_convergence_and_hangs_nobody() {
    let run = Harness::tiny()
        .defect("never_replay_complete")
        .set("oracle.converge_within=2s")
        .ended()
        .exits(exit::NO_GO);
    let report = is_caught(&run, "never_replay_complete", "no_convergence");
    assert_eq!(number(&report, "/fleet/clients_live_at_end"), 0);
}

#[test]
fn two_events_that_change_places_are_not_monotonic() {
    let run = condemned("swap_two");
    is_caught(&run, "swap_two", "nonmonotonic");
}

#[test]
fn an_acknowledged_event_that_reaches_nobody_is_a_lost_publish() {
    let run = condemned("drop_acknowledged");
    let report = is_caught(&run, "drop_acknowledged", "lost_publish");
    // Every tenth.
    let lost = number(&report, "/oracle/violations/lost_publish");
    let acknowledged = number(&report, "/load/acknowledged");
    assert!(lost >= acknowledged / 10 - 1 && lost <= acknowledged / 10 + 1, "{lost} lost");
}

#[test]
fn an_altered_payload_whose_hash_fits_is_a_divergent_value() {
    let run = condemned("corrupt_payload");
    is_caught(&run, "corrupt_payload", "divergent_value");
}

#[test]
fn a_reply_before_its_replay_is_a_false_replay_complete() {
    let run = condemned("early_replay_complete");
    is_caught(&run, "early_replay_complete", "false_replay_complete");
}

#[test]
fn an_event_that_nobody_published_is_a_phantom() {
    let run = condemned("invented_event");
    let report = is_caught(&run, "invented_event", "phantom");
    // One for every twenty, however many clients got it.
    let invented = number(&report, "/oracle/violations/phantom");
    let acknowledged = number(&report, "/load/acknowledged");
    assert!(invented >= acknowledged / 20 - 1 && invented <= acknowledged / 20 + 1, "{invented}");
}

#[test]
fn a_channel_that_falls_silent_while_its_socket_lives_on_is_stuck() {
    let run = Harness::tiny()
        .set("fleet.surface.desktop.heartbeat=1s")
        .set("fleet.surface.ios.heartbeat=1s")
        .defect("stuck_channel,0.02")
        .ended()
        .exits(exit::NO_GO);
    is_caught(&run, "stuck_channel", "stuck_channel");
}

#[test]
fn heartbeats_that_nobody_answers_are_no_stuck_channel() {
    let run = Harness::tiny()
        .set("fleet.surface.desktop.heartbeat=1s")
        .set("fleet.surface.ios.heartbeat=1s")
        .defect("heartbeats_unanswered")
        .ended();
    let report = run.report();
    let rules = violated(&report);
    assert!(!rules.iter().any(|rule| rule == "stuck_channel"), "{rules:?}");
}

#[test]
fn a_topic_that_waits_while_others_go_on_is_starved() {
    let run = Harness::tiny()
        .set("oracle.settle_within=2s")
        .defect("starved_topic")
        .ended()
        .exits(exit::NO_GO);
    let report = is_caught(&run, "starved_topic", "starved_topic");
    // The desktop clients have two topics, the others one; each has one silence.
    let starved = number(&report, "/oracle/violations/starved_topic");
    assert!((1..=12).contains(&starved), "{starved}");
}

#[test]
fn a_queue_without_a_limit_is_an_unbounded_buffer() {
    let run = slow().defect("unbounded_queue").ended().exits(exit::NO_GO);
    let report = is_caught(&run, "unbounded_queue", "unbounded_buffer");
    assert_eq!(number(&report, "/oracle/violations/unbounded_buffer"), 2, "both slow clients");
}

#[test]
fn a_target_that_reads_on_from_a_short_log_evicts_nobody_and_hoards_nothing() {
    let run = slow().defect("no_slow_eviction").ended().exits(exit::NO_GO);
    let report = is_caught(&run, "no_slow_eviction", "no_eviction");
    let rules = violated(&report);
    assert!(!rules.iter().any(|rule| rule == "unbounded_buffer"), "{rules:?}");
}

#[test]
fn a_correct_runtime_is_put_to_the_same_tests_and_passes_them() {
    let tiny = Harness::tiny()
        .set("oracle.settle_within=2s")
        .set("fleet.surface.desktop.heartbeat=1s")
        .set("fleet.surface.ios.heartbeat=1s");
    let runs = [
        (tiny, &["phantom", "stuck_channel", "starved_topic"][..]),
        (slow(), &["phantom", "no_eviction", "unbounded_buffer"]),
    ];
    for (harness, rules) in runs {
        let report = harness.ended().exits(exit::GO).report();
        assert!(violated(&report).is_empty());
        for rule in rules {
            assert!(number(&report, &format!("/oracle/judged/{rule}")) > 0, "{rule}");
        }
    }
}

#[test]
fn a_slow_recovery_fails_the_reconnect_gate_by_the_time_to_recovered() {
    let run = Harness::tiny()
        .defect("slow_recovery")
        .set("phase.storm.duration=11s")
        .ended()
        .exits(exit::NO_GO);
    let report = is_caught(&run, "slow_recovery", "gate:reconnect");
    let reconnect = objectives(&report, "reconnect");
    let slow: Vec<_> =
        reconnect.iter().filter(|objective| objective["metric"] == "time_to_recovered").collect();
    assert_eq!(slow.len(), 2, "one for each surface");
    for objective in slow {
        assert_eq!(objective["verdict"], "FAIL", "{objective}");
        assert_eq!(objective["bad"], objective["n"], "every client was late: {objective}");
    }
}
