//! A generator that is not fit says so, and what it did itself is not held against the target: frozen,
//! starved, out of descriptors.

#[path = "cli/support/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses its own part")]
mod support;

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::processes::reference_of;
use crate::support::{Ended, Harness, Running, exit, reasons, scenario, violated};
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

/// How long somebody is frozen.
const FREEZE: Duration = Duration::from_secs(3);
/// The largest figure that shows the freeze for certain: a good part of it.
const SHOWS_US: u64 = 1_000_000;

/// A run in whose steady phase every client heartbeats once, about eight seconds after its start.
fn with_heartbeats() -> Running {
    let mut run = Harness::tiny()
        .set("phase.steady.duration=13s")
        .set("fleet.surface.desktop.heartbeat=8s")
        .set("fleet.surface.ios.heartbeat=8s")
        .start();
    run.wait_for_phase("steady");
    // Frozen from here on, the heartbeats fall into the middle.
    run.wait_for_seconds(6);
    run
}

/// The largest figure of a metric in the steady phase, over all surfaces: response or service.
fn largest(report: &Value, metric: &str, figure: &str) -> u64 {
    let lines = report["metrics"].as_array().expect("figures").iter();
    let mine = lines.filter(|line| line["metric"] == metric && line["phase"] == "steady");
    mine.filter_map(|line| line[figure]["max"].as_u64()).max().expect("there are samples")
}

fn of_the_freeze(run: &Ended) -> Value {
    let report = run.report();
    assert_eq!(violated(&report), Vec::<String>::new(), "a freeze alone breaks no rule");
    assert_ne!(report["decision"], "NO-GO", "{}", reasons(&report));
    report
}

#[test]
fn a_frozen_target_shows_in_both_figures_of_what_it_answers() {
    let run = with_heartbeats();
    let reference = reference_of(run.pid());
    reference.signal(Signal::STOP);
    std::thread::sleep(FREEZE);
    reference.signal(Signal::CONT);
    let report = of_the_freeze(&run.ended());
    for metric in ["delivery", "heartbeat_rtt"] {
        for figure in ["response", "service"] {
            let largest = largest(&report, metric, figure);
            assert!(largest >= SHOWS_US, "{figure} of {metric} is {largest} us at most");
        }
    }
}

#[test]
fn a_frozen_generator_shows_in_lag_and_in_what_was_due_not_in_what_began_afterwards() {
    let run = with_heartbeats();
    run.signal(Signal::STOP);
    std::thread::sleep(FREEZE);
    run.signal(Signal::CONT);
    let report = of_the_freeze(&run.ended());
    for metric in ["delivery", "heartbeat_rtt"] {
        let (response, service) =
            (largest(&report, metric, "response"), largest(&report, metric, "service"));
        assert!(response >= SHOWS_US, "{metric}: {response} us from the intended time");
        assert!(service < response / 2, "{metric}: {service} us from the start, {response} in all");
    }
    let generator = &report["generator"];
    assert!(generator["lag_max_us"].as_u64() >= Some(SHOWS_US), "{generator}");
    assert!(!generator["stalls"].as_array().expect("stalls").is_empty(), "{generator}");
}

#[test]
fn a_generator_that_hardly_ever_runs_is_a_hold() {
    let mut run = Harness::tiny()
        .set("phase.storm.duration=6s")
        // A hundredth of the twenty seconds that the gate allows is less than each of the stops.
        .set("generator.lag_share_max=0.01")
        .set("gate.reconnect.objective.time_to_recovered.require=p(50) < 20s")
        .start();
    run.wait_for_phase("storm");
    for _ in 0..10 {
        run.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(400));
        run.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(100));
    }
    let report = run.ended().exits(exit::HOLD).report();
    assert!(reasons(&report).contains("the generator was unfit: its scheduler lag"), "{report}");
}

#[test]
fn descriptors_that_run_out_are_a_hold_and_nobody_elses_fault() {
    let mut run = Harness::tiny().start();
    run.wait_for_phase("steady");
    // Enough for the run itself, and not for all of its clients to come back.
    let few = Rlimit { current: Some(40), maximum: Some(40) };
    let pid = Pid::from_raw(i32::try_from(run.pid()).expect("a process id"));
    prlimit(pid, Resource::Nofile, few).expect("the limit can be set");
    let report = run.ended().exits(exit::HOLD).report();
    assert!(reasons(&report).contains("ran out of file descriptors"), "{}", reasons(&report));
    assert_eq!(violated(&report), Vec::<String>::new());
    for gate in report["gates"].as_array().expect("gates") {
        assert_ne!(gate["verdict"], "FAIL", "{gate}");
    }
}

#[test]
fn descriptors_that_cannot_suffice_end_a_run_before_anything_is_sent() {
    let out_dir = tempfile::TempDir::new().expect("a folder");
    let script = r#"ulimit -n 50; exec "$0" run "$1" --out-dir "$2""#;
    let ended = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_khala-harness")])
        .arg(scenario("tiny.toml"))
        .arg(out_dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("sh starts");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(exit::SETUP), "{stderr}");
    assert!(stderr.contains("descriptors"), "{stderr}");
    assert!(!stderr.contains("target ready"), "{stderr}");
    assert_eq!(std::fs::read_dir(out_dir.path()).expect("can be listed").count(), 0);
}
