//! A fleet that shrinks and grows while clients come and go: who leaves by plan owes nothing and breaks nothing, and
//! who stays or comes is judged as ever.

use std::path::PathBuf;

use crate::support::{Harness, exit, number, objectives, scenario, violated};

fn breathing() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/breathing.toml")
}

fn smoke() -> Harness {
    // A loaded machine is no matter here.
    Harness::run(breathing()).arg("--profile").arg("smoke").set("generator.lag_share_max=1")
}

#[test]
fn a_fleet_that_breathes_is_a_go_and_who_left_is_no_unplanned_end() {
    let run = smoke().ended().exits(exit::GO);
    let report = run.report();
    // 30 at first; 5 and 2 come by churn while it shrinks and stays, 74 and 2 while it grows.
    let all: u64 =
        ["desktop", "ios"].iter().map(|it| number(&report, &format!("/fleet/clients/{it}"))).sum();
    let (left, live) =
        (number(&report, "/fleet/left_by_plan"), number(&report, "/fleet/clients_live_at_end"));
    assert_eq!((all, left, live), (113, 23, 90));
    let peak = number(&report, "/fleet/clients_peak");
    assert!((88..=92).contains(&peak), "who leaves by churn may overlap with who comes: {peak}");
    // Half of the sixteen who are there at night, and of the ninety who are there by day.
    assert_eq!(
        (number(&report, "/faults/0/planned"), number(&report, "/faults/0/effective")),
        (8, 8)
    );
    assert_eq!(
        (number(&report, "/faults/1/planned"), number(&report, "/faults/1/effective")),
        (45, 45)
    );
    let unplanned = report["unplanned_ends"].as_array().expect("a list").len();
    assert_eq!(unplanned, 0, "{}", report["unplanned_ends"]);
    let bootstrap = &objectives(&report, "replay")[0];
    assert!(bootstrap["n"].as_u64() >= Some(80), "who comes on the way is measured: {bootstrap}");
    let lines = run.lines("schedule.ndjson");
    let leaving = lines.iter().filter(|line| line["leaves_us"].is_u64()).count();
    assert_eq!(leaving, 23, "who leaves when is written down before");
}

#[test]
fn what_is_lost_meanwhile_is_found() {
    let run = smoke().defect("drop_nth,0.1").ended().exits(exit::NO_GO);
    let rules = violated(&run.report());
    assert!(rules.iter().any(|rule| rule == "gap"), "{rules:?}");
}

#[test]
fn check_tells_the_stages_and_refuses_those_that_do_not_fit() {
    let run =
        Harness::check(breathing()).arg("--profile").arg("smoke").ended_plain().exits(exit::GO);
    for said in [
        "90 at peak, 113 in all",
        "stage     from 1s for 4s: 30 to 16 clients, 90/min come and go",
        "stage     from 11s for 3s: 16 to 90 clients, 60/min come and go",
        "disconnect of 8 clients",
        "disconnect of 45 clients",
    ] {
        assert!(run.stdout.contains(said), "no `{said}` in:\n{}", run.stdout);
    }
    let stage = |stage: &str| {
        let stages = format!("fleet.stage=[{stage}]");
        Harness::check(scenario("tiny.toml"))
            .set(&stages)
            .ended_plain()
            .exits(exit::INVALID_SCENARIO)
    };
    let run = stage(r#"{ duration = "10m", target = 30 }"#);
    assert!(run.stderr.contains("the stages of the fleet take 10m"), "{}", run.stderr);
    let run = stage(r#"{ duration = "1s" }"#);
    assert!(run.stderr.contains("`target`"), "{}", run.stderr);
    let run = stage(
        r#"{ duration = "1s", target = 3, churn = "10000/s" }, { duration = "24h", target = 3, churn = "10000/s" }"#,
    );
    assert!(run.stderr.contains("clients in all"), "{}", run.stderr);
}
