//! Runs that do not end as planned: signals, a target that dies. Evidence is written, nothing is left
//! behind, and nothing is taken for a verdict that is none.

use crate::support::processes::{Found, is_gone_soon, reference_of, references_of};
use crate::support::{
    Ended, Harness, Running, eventually, exit, gates_with, number, reasons, scenario,
};
use rustix::process::Signal;
use serde_json::Value;

/// A run that would take a minute, in the storm.
fn in_the_storm() -> (Running, Found) {
    let mut run = Harness::tiny().set("phase.storm.duration=60s").start();
    run.wait_for_phase("storm");
    let reference = reference_of(run.pid());
    assert!(reference.runs());
    (run, reference)
}

/// What an interrupted run owes.
fn is_interrupted(run: &Ended) -> Value {
    let report = run.report();
    assert_eq!(report["interrupted"], true);
    assert_eq!(report["decision"], "HOLD", "{}", reasons(&report));
    assert!(reasons(&report).contains("interrupted"), "{}", reasons(&report));
    let events = run.lines("events.ndjson");
    assert!(events.iter().any(|event| event["event"] == "interrupted"), "{events:?}");
    for name in ["summary.md", "violations.ndjson", "timeseries.csv", "schedule.ndjson"] {
        assert!(run.files.contains_key(name), "no {name} among {:?}", run.names());
    }
    report
}

#[test]
fn an_interrupt_in_the_storm_writes_the_evidence_and_leaves_no_child() {
    let (run, reference) = in_the_storm();
    let pid = run.pid();
    run.signal(Signal::INT);
    let run = run.ended().exits(exit::INTERRUPTED);
    let report = is_interrupted(&run);
    assert!(!reference.runs(), "{:?} is left", reference.command_line());
    assert!(references_of(pid).is_empty());
    assert!(number(&report, "/oracle/deliveries") > 0, "what was seen until then is in it");
    assert!(run.stderr.contains("interrupted"), "{}", run.stderr);
    assert!(run.stdout.contains("HOLD"), "{}", run.stdout);
}

#[test]
fn an_interrupt_while_everybody_is_cut_off_condemns_nobody() {
    // Nobody comes back before the interrupt: that they did not recover is not the target's doing.
    let mut run = Harness::tiny()
        .set("phase.storm.duration=60s")
        .set("fleet.surface.desktop.backoff={ fixed = \"30s\" }")
        .set("fleet.surface.ios.backoff={ fixed = \"30s\" }")
        .start();
    run.wait_for_fault();
    let reference = reference_of(run.pid());
    run.signal(Signal::TERM);
    let run = run.ended().exits(exit::INTERRUPTED);
    is_interrupted(&run);
    assert!(!reference.runs());
}

#[test]
fn an_interrupt_during_the_drain_is_an_interrupt_too() {
    let mut run = Harness::tiny().set("phase.storm.duration=2s").start();
    run.wait_for("the drain", |event| event["event"] == "drain_began");
    run.signal(Signal::INT);
    is_interrupted(&run.ended().exits(exit::INTERRUPTED));
}

#[test]
fn repeats_within_a_moment_are_the_same_wish() {
    let (mut run, reference) = in_the_storm();
    // As a process manager sends them, and a shell beside it.
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::TERM] {
        run.signal(signal);
    }
    run.wait_for("the interrupt", |event| event["event"] == "interrupted");
    let run = run.ended().exits(exit::INTERRUPTED);
    is_interrupted(&run);
    assert!(!reference.runs());
    assert_eq!(run.stderr.matches("writing the evidence").count(), 1, "{}", run.stderr);
}

#[test]
fn a_terminal_that_hangs_up_is_an_interrupt() {
    let (run, reference) = in_the_storm();
    run.signal(Signal::HUP);
    is_interrupted(&run.ended().exits(exit::INTERRUPTED));
    assert!(!reference.runs());
}

#[test]
fn under_nohup_a_terminal_that_hangs_up_is_nothing() {
    let mut run = Harness::under_nohup("run").arg(scenario("tiny.toml").as_os_str()).start();
    run.wait_for_phase("steady");
    run.signal(Signal::HUP);
    let report = run.ended().exits(exit::GO).report();
    assert_eq!(report["interrupted"], false);
}

/// Whether a process has a handler for SIGHUP.
fn hears(pid: u32) -> bool {
    let process = procfs::process::Process::new(i32::try_from(pid).expect("a process id"));
    process.and_then(|process| process.status()).is_ok_and(|status| status.sigcgt & 1 == 1)
}

#[test]
fn a_reference_that_is_hung_up_on_ends_in_order() {
    let reference = Harness::new("reference").start_plain();
    eventually("it hears signals", || hears(reference.pid()).then_some(()));
    reference.signal(Signal::HUP);
    reference.ended().exits(exit::GO);
}

#[test]
fn a_second_interrupt_ends_the_run_at_once() {
    let (mut run, reference) = in_the_storm();
    // With a target that does not answer, the orderly end would wait for its requests.
    reference.signal(Signal::STOP);
    run.signal(Signal::INT);
    run.wait_for("the interrupt", |event| event["event"] == "interrupted");
    // Within a second it would be the same wish.
    run.wait_for_seconds(2);
    run.signal(Signal::INT);
    is_gone_soon(reference);
    let run = run.ended().exits(exit::INTERRUPTED);
    assert!(!run.files.contains_key("run.json"), "there was no time for a report");
}

#[test]
fn a_child_whose_harness_is_killed_ends_by_itself() {
    let (run, reference) = in_the_storm();
    run.signal(Signal::KILL);
    is_gone_soon(reference);
    assert_eq!(run.ended().code, None, "a signal ended it");
}

/// What a run owes whose target died.
fn says_that_the_target_went_away(run: &Ended) {
    let report = run.report();
    assert_eq!(report["decision"], "NO-GO", "{}", reasons(&report));
    assert_eq!(report["interrupted"], false);
    let lost = report["target"]["lost"].as_str().expect("why the target is gone");
    assert!(lost.contains("signal: 9"), "{lost}");
    assert!(reasons(&report).contains("the target was lost at"), "{}", reasons(&report));
    assert!(gates_with(&report, "FAIL").contains(&"stability".to_owned()), "{}", reasons(&report));
    assert!(run.stderr.contains("target lost"), "{}", run.stderr);
    let events = run.lines("events.ndjson");
    assert!(events.iter().any(|event| event["event"] == "target_lost"), "{events:?}");
}

#[test]
fn a_target_that_dies_in_a_quiet_phase_is_a_no_go() {
    let mut run = Harness::tiny().set("phase.steady.duration=60s").start();
    run.wait_for_phase("steady");
    reference_of(run.pid()).signal(Signal::KILL);
    says_that_the_target_went_away(&run.ended().exits(exit::NO_GO));
}

#[test]
fn a_target_that_dies_while_everybody_is_cut_off_is_a_no_go() {
    let mut run = Harness::tiny()
        .set("phase.storm.duration=60s")
        .set("fleet.surface.desktop.backoff={ fixed = \"30s\" }")
        .set("fleet.surface.ios.backoff={ fixed = \"30s\" }")
        .start();
    run.wait_for_fault();
    reference_of(run.pid()).signal(Signal::KILL);
    says_that_the_target_went_away(&run.ended().exits(exit::NO_GO));
}

#[test]
fn no_secret_of_a_run_stands_in_its_evidence_its_output_or_a_command_line() {
    let (run, reference) = in_the_storm();
    let names = [
        "RUNTIME_SYNC_TOKEN_SIGNING_KEY",
        "KHALA_REFERENCE_SIGNATURE_SECRET",
        "KHALA_REFERENCE_SESSION_KEY",
        "RUNTIME_ADMIN_TOKEN",
    ];
    let secrets = names.map(|name| {
        let secret = reference.variable(name).unwrap_or_else(|| panic!("{name} is set"));
        assert!(secret.len() >= 32, "{name} is no secret");
        secret
    });
    let command_line = reference.command_line().join(" ");
    run.signal(Signal::INT);
    let run = run.ended().exits(exit::INTERRUPTED);
    let texts = [("stdout", &*run.stdout), ("stderr", &*run.stderr), ("ps", &*command_line)];
    let files: Vec<_> = run
        .files
        .iter()
        .map(|(name, bytes)| (name.as_str(), String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    let files = files.iter().map(|(name, text)| (*name, text.as_str()));
    for (name, text) in texts.into_iter().chain(files) {
        for secret in &secrets {
            assert!(!text.contains(secret), "{name} holds a secret");
        }
        // Header and claims of a token, in base64.
        assert!(!text.contains("eyJ"), "{name} holds a token");
    }
}
