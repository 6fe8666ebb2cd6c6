//! Commands of the user's, run as faults: only when they may, with what they need, kept as evidence without
//! secrets, and taken back however the run ends.

use std::path::Path;

use crate::support::processes::reference_of;
use crate::support::{Ended, Harness, eventually, exit, gates_with, reasons, scenario};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// Where hooks leave word of themselves.
struct Log(TempDir);

impl Log {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder"))
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.0.path().join("log")).unwrap_or_default()
    }

    /// The scenario with a hook: keys of the fault, and of its attributes.
    fn run(&self, keys: &str, attributes: &str) -> Harness {
        let fault = format!(
            "phase.hooked.fault=[{{ type = \"hook\", at = \"500ms\", {keys} attributes = {{ {attributes} }} }}]"
        );
        let run = Harness::run(scenario("hooked.toml")).arg("--allow-hooks").set(&fault);
        run.env("LOG", &self.0.path().join("log").display().to_string())
    }
}

/// A command by which a shell does something.
fn sh(script: &str) -> String {
    format!("[\"sh\", \"-c\", '{script}']")
}

fn says(word: &str) -> String {
    sh(&format!("echo {word} >> $LOG"))
}

fn commands(run: &Ended) -> Vec<(String, String)> {
    let report = run.report();
    let commands = report["faults"][0]["commands"].as_array().cloned().unwrap_or_default();
    let told = |command: &Value| {
        let how = command["end"]["how"].as_str().expect("an end").to_owned();
        let code = command["end"]["code"].as_i64().map(|code| code.to_string());
        (command["part"].as_str().expect("a part").to_owned(), code.unwrap_or(how))
    };
    commands.iter().map(told).collect()
}

fn told(told: &[(&str, &str)]) -> Vec<(String, String)> {
    told.iter().map(|&(part, how)| (part.to_owned(), how.to_owned())).collect()
}

#[test]
fn without_leave_nothing_runs_and_one_sentence_says_what_would() {
    let log = Log::new();
    let folder = TempDir::new().expect("a folder");
    let run = Harness::run(scenario("hooked.toml"))
        .env("LOG", &log.0.path().display().to_string())
        .in_folder(folder.path())
        .ended()
        .exits(exit::USAGE);
    assert!(run.out_dir_is_empty && run.stdout.is_empty());
    for said in ["`hooked`", "phase `hooked`", "[\"true\"]", "--allow-hooks"] {
        assert!(run.stderr.contains(said), "no {said} in: {}", run.stderr);
    }
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
}

#[test]
fn check_prints_the_commands_and_escapes_what_a_terminal_would_obey() {
    let fault = "phase.hooked.fault=[{ type = \"hook\", at = \"500ms\", duration = \"1s\", attributes = { \
                 command = [\"a b\", \"\\u001b[31m\"], undo = [\"c\"], check = [\"d\"], causes = [\"absence\"] } }]";
    let check = || Harness::check(scenario("hooked.toml")).arg("--allow-hooks").set(fault);
    let run = check().ended_plain().exits(exit::GO);
    for said in [
        "command [\"a b\", \"\\u{1b}[31m\"]",
        "undo [\"c\"]",
        "check [\"d\"]",
        "may cause absence until 8s",
    ] {
        assert!(run.stdout.contains(said), "no {said} in:\n{}", run.stdout);
    }
    let run = check().arg("--json").ended_plain().exits(exit::GO);
    let plan: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let fault = &plan["timeline"][2]["faults"][0];
    assert_eq!(
        (&fault["commands"]["undo"][0], &fault["causes"][0]),
        (&"c".into(), &"absence".into())
    );
}

#[test]
fn a_hook_runs_is_proven_and_taken_back_and_no_secret_of_it_is_kept() {
    let log = Log::new();
    let script = "echo on >> $LOG; pwd >> $LOG; echo $KHALA_PHASE $KHALA_FAULT_ID $KHALA_TARGET_URL \
                  $KHALA_RUN_ID >> $LOG; echo it is $MY_TOKEN; echo $MY_TOKEN >&2";
    let attributes = format!(
        "command = {}, check = {}, undo = {}",
        sh(script),
        sh("echo check >> $LOG; test $(grep -cx check $LOG) = 3"),
        says("off")
    );
    let run = log.run("duration = \"1500ms\",", &attributes).env("MY_TOKEN", "hunter-2").ended();
    let run = run.exits(exit::GO);
    let lines: Vec<_> = log.text().lines().map(str::to_owned).collect();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    assert_eq!((lines[0].as_str(), Path::new(&lines[1])), ("on", here.as_path()));
    let report = run.report();
    let (url, id) = (report["target"]["url"].as_str(), report["run_id"].as_str());
    assert_eq!(lines[2], format!("hooked 0 {} {}", url.expect("a url"), id.expect("an id")));
    assert_eq!(lines[3..], ["check", "check", "check", "off"], "asked until it says yes");
    assert_eq!(commands(&run), told(&[("command", "0"), ("check", "0"), ("undo", "0")]));
    let fault = &report["faults"][0];
    assert_eq!(fault["effective"], 1);
    assert_eq!(fault["commands"][1]["tries"], 3);
    assert_eq!(fault["commands"][0]["stdout"], "it is [redacted]");
    let lasted = |part: usize| fault["commands"][part]["began_us"].as_u64().expect("a time");
    assert!(
        lasted(2) >= fault["at_us"].as_u64().expect("a time") + 1_500_000,
        "not before its time"
    );
    let texts = run.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let said = [("stdout", run.stdout.as_bytes()), ("stderr", run.stderr.as_bytes())];
    for (name, bytes) in texts.chain(said) {
        assert!(!bytes.windows(8).any(|window| window == b"hunter-2"), "{name}");
    }
    let summary = String::from_utf8_lossy(run.file("summary.md")).into_owned();
    assert!(summary.contains("- undo [\"sh\", \"-c\", "), "{summary}");
    let events = run.lines("events.ndjson");
    let began = events.iter().filter(|event| event["event"] == "command_began");
    assert_eq!(began.count(), 3, "{events:?}");
}

#[test]
fn a_hook_that_does_not_bite_passes_no_gate() {
    for (attributes, why, said) in [
        (format!("command = {}", sh("exit 3")), "the command: exit code 3", ""),
        (
            format!("command = [\"khala-no-such-program\"], undo = {}", says("off")),
            "not run",
            "off\n",
        ),
        (
            format!(
                "command = {}, check = {}, timeout = \"500ms\", undo = {}",
                says("on"),
                sh("exit 1"),
                says("off")
            ),
            "the check: exit code 1",
            "on\noff\n",
        ),
        (
            format!("command = {}, timeout = \"500ms\", undo = {}", sh("sleep 600"), says("off")),
            "the command: timed out",
            "off\n",
        ),
        (
            format!("command = {}, undo = {}", says("on"), sh("exit 4")),
            "NOT TAKEN BACK: the undo: exit code 4",
            "on\n",
        ),
    ] {
        let log = Log::new();
        let run = log.run("", &attributes).ended().exits(exit::HOLD);
        let report = run.report();
        assert_eq!(report["faults"][0]["effective"], 0, "{attributes}");
        let proof = report["faults"][0]["proof"].as_str().expect("a sentence");
        assert!(proof.contains(why), "{proof}");
        assert!(!gates_with(&report, "PASS").contains(&"quick".to_owned()), "{}", reasons(&report));
        assert_eq!(log.text(), said, "{attributes}");
    }
}

/// Stops the reference, and lets it go on. The pattern does not find the shell that looks for it.
fn stop_the_reference() -> String {
    let reference = "pid=$(pgrep -P $PPID -f \" referenc[e]\")";
    format!(
        "command = {}, undo = {}",
        sh(&format!("{reference}; kill -STOP $pid")),
        sh(&format!("{reference}; kill -CONT $pid"))
    )
}

#[test]
fn what_a_hook_does_to_the_target_is_unplanned_unless_it_says_so() {
    let (log, stops) = (Log::new(), stop_the_reference());
    let run = |causes: &str| {
        let run = log.run("duration = \"5s\",", &format!("{stops}{causes}"));
        run.set("phase.hooked.duration=8s").ended()
    };
    let silent = run("").exits(exit::NO_GO).report();
    assert_eq!(gates_with(&silent, "FAIL"), ["stability"], "{}", reasons(&silent));
    let other = run(", causes = [\"publish_errors\"]").exits(exit::NO_GO).report();
    assert_eq!(gates_with(&other, "FAIL"), ["stability"], "{}", reasons(&other));
    let named = run(", causes = [\"absence\", \"publish_errors\"]").exits(exit::GO).report();
    assert_eq!(named["faults"][0]["effective"], 1);
}

/// A hook that is on for a minute.
fn lasting(log: &Log) -> Harness {
    let attributes = format!("command = {}, undo = {}", says("on"), says("off"));
    log.run("duration = \"50s\",", &attributes).set("phase.hooked.duration=60s")
}

fn command_ended(event: &Value) -> bool {
    event["event"] == "command_ended"
}

#[test]
fn an_interrupt_takes_the_hook_back_and_the_evidence_says_so() {
    let log = Log::new();
    let mut run = lasting(&log).start();
    run.wait_for("the command", command_ended);
    run.signal(Signal::INT);
    let run = run.ended().exits(exit::INTERRUPTED);
    assert_eq!(log.text(), "on\noff\n");
    assert_eq!(commands(&run), told(&[("command", "0"), ("undo", "0")]));
}

#[test]
fn an_interrupt_ends_a_command_that_lasts_and_takes_it_back() {
    let log = Log::new();
    let attributes =
        format!("command = {}, undo = {}", sh("echo on >> $LOG; exec sleep 600"), says("off"));
    let attributes = format!("{attributes}, timeout = \"100s\"");
    let mut run = log.run("", &attributes).set("phase.hooked.duration=60s").start();
    run.wait_for("the command", |event| event["event"] == "command_began");
    eventually("the command", || (!log.text().is_empty()).then_some(()));
    run.signal(Signal::TERM);
    let run = run.ended().exits(exit::INTERRUPTED);
    assert_eq!(log.text(), "on\noff\n");
    assert_eq!(commands(&run), told(&[("command", "cut_short"), ("undo", "0")]));
}

#[test]
fn who_quits_at_once_still_takes_it_back() {
    let log = Log::new();
    let slow = "echo off >> $LOG; exec sleep 5";
    let attributes = format!("command = {}, undo = {}", says("on"), sh(slow));
    let run = log.run("duration = \"50s\",", &attributes).set("phase.hooked.duration=60s");
    let mut run = run.start();
    run.wait_for("the command", command_ended);
    run.signal(Signal::INT);
    std::thread::sleep(std::time::Duration::from_millis(1_200));
    run.signal(Signal::INT);
    run.ended().exits(exit::INTERRUPTED);
    eventually("it is taken back", || log.text().starts_with("on\noff\n").then_some(()));
}

#[test]
fn a_lost_target_takes_the_hook_back() {
    let log = Log::new();
    let mut run = lasting(&log).start();
    run.wait_for("the command", command_ended);
    reference_of(run.pid()).signal(Signal::KILL);
    let run = run.ended();
    assert_eq!(log.text(), "on\noff\n");
    assert_eq!(commands(&run), told(&[("command", "0"), ("undo", "0")]));
    assert!(run.report()["target"]["lost"].is_string());
}

#[test]
fn of_a_run_that_was_killed_the_report_says_what_was_not_taken_back() {
    let log = Log::new();
    let mut run = lasting(&log).start();
    run.wait_for("the command", command_ended);
    run.wait_for_seconds(2);
    run.signal(Signal::KILL);
    let (_folder, bundle) = run.ended().restored(|_| true);
    let report = Harness::new("report").arg(bundle.as_os_str()).ended_plain();
    assert!(report.stdout.contains("not_undone"), "{}\n{}", report.stdout, report.stderr);
    assert!(report.stdout.contains("by hand"), "{}", report.stdout);
    assert_eq!(log.text(), "on\n");
}
