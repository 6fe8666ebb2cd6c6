//! `publish_burst`: what is published on top of the load is planned, owed, and proven.

#[path = "cli/support/mod.rs"]
#[expect(dead_code, reason = "each program of tests uses its own part")]
mod support;

use crate::support::{Harness, exit, number, reasons, violated};
use serde_json::json;

#[test]
fn a_burst_comes_on_top_of_the_load_and_all_of_it_arrives() {
    let plain = Harness::tiny().ended().exits(exit::GO).report();
    let burst = r#"phase.storm.fault=[{type="publish_burst", at="2s", attributes={events=200, over="500ms"}}]"#;
    let run = Harness::tiny().set(burst).ended();
    let report = run.report();
    assert_eq!(report["faults"][0]["kind"], "publish_burst");
    assert_eq!(report["faults"][0]["planned"], 1);
    assert_eq!(report["faults"][0]["effective"], 1, "{}", report["faults"][0]);
    assert_eq!(report["faults"][0]["proof"], "200 of 200 publishes acknowledged");
    for figure in ["/load/planned", "/load/acknowledged"] {
        assert_eq!(number(&report, figure), number(&plain, figure) + 200, "{figure}");
    }
    let total: u64 = report["oracle"]["violations"]
        .as_object()
        .expect("rules")
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!(total, 0, "{}", report["oracle"]);
    let of_fault =
        run.lines("schedule.ndjson").into_iter().filter(|line| line["fault"] == json!(0));
    assert_eq!(of_fault.count(), 200);
}

#[test]
fn a_burst_that_the_target_refuses_has_not_bitten_and_nothing_passes() {
    // Far beyond what the runtime takes in a second.
    let burst = r#"phase.storm.fault=[{type="publish_burst", at="2s", attributes={events=2000, over="500ms"}}]"#;
    let run = Harness::tiny().set(burst).ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(report["faults"][0]["effective"], 0, "{}", report["faults"][0]);
    assert!(reasons(&report).contains("publish_burst"), "{}", reasons(&report));
    assert_eq!(violated(&report), Vec::<String>::new());
}
