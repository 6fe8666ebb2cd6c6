//! The fault `pause`: what is stopped goes on, whatever ends the run.

use crate::support;
use crate::support::processes::{Found, is_gone_soon, reference_of};
use crate::support::{Harness, eventually, exit, scenario};
use procfs::process::Process;
use rustix::process::Signal;

/// Whether a signal has stopped it (proc(5)).
fn stands(found: Found) -> bool {
    let stat = Process::new(found.pid).and_then(|process| process.stat());
    found.runs() && stat.is_ok_and(|stat| stat.state == 'T')
}

fn standing() -> support::Running {
    let fault = "phase.hooked.fault=[{ type = \"pause\", at = \"500ms\", duration = \"50s\" }]";
    let run = Harness::run(scenario("hooked.toml")).set(fault);
    let mut run = run.set("phase.hooked.duration=60s").start();
    let owed = run.wait_for("the undo", |event| event["event"] == "undo_owed");
    assert!(owed["what"].as_str().expect("a wish").contains("SIGCONT"), "{owed}");
    run
}

#[test]
fn an_interrupt_lets_the_target_go_on_and_the_journal_says_so() {
    let mut run = standing();
    let target = reference_of(run.pid());
    eventually("it stands", || stands(target).then_some(()));
    run.signal(Signal::TERM);
    run.wait_for("the end of it", |event| {
        event["event"] == "undo_done" && event["failed"].is_null()
    });
    let run = run.ended().exits(exit::INTERRUPTED);
    let fault = &run.report()["faults"][0];
    assert_eq!((&fault["kind"], &fault["effective"]), (&"pause".into(), &1.into()));
    assert!(!target.runs(), "nothing is left");
}

#[test]
fn of_a_run_that_is_killed_nothing_stands_for_ever() {
    let run = standing();
    let target = reference_of(run.pid());
    eventually("it stands", || stands(target).then_some(()));
    run.signal(Signal::KILL);
    is_gone_soon(target);
}
