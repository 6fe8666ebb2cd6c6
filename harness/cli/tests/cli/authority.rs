//! Bad tokens, revocations and commands over the socket: a runtime that refuses them is a GO, one that
//! does not is a NO-GO, and a fault that could not be tried is neither.

use crate::support::{Harness, exit, number, reasons, scenario, violated};
use serde_json::{Value, json};

fn authority() -> Harness {
    Harness::run(scenario("authority.toml"))
}

/// Planned and effective, of each fault of a type.
fn faults(report: &Value, kind: &str) -> Vec<(Value, Value)> {
    let faults = report["faults"].as_array().expect("faults").iter();
    let of_kind = faults.filter(|fault| fault["kind"] == kind);
    of_kind.map(|fault| (fault["planned"].clone(), fault["effective"].clone())).collect()
}

#[test]
fn a_runtime_that_refuses_what_it_must_is_a_go_and_each_fault_bit() {
    let run = authority().ended().exits(exit::GO);
    let report = run.report();
    assert_eq!(faults(&report, "token"), vec![(json!(24), json!(24)); 7]);
    assert_eq!(faults(&report, "command_over_socket"), [(json!(24), json!(24))]);
    assert_eq!(faults(&report, "revoke_sessions"), [(json!(12), json!(12))]);
    let judged = |rule: &str| number(&report, &format!("/oracle/judged/{rule}"));
    // Seven bad tokens each, a list of which a good one opens a part, the revoked sockets, and the sessions that
    // were tried again.
    assert!(judged("authz_leak") >= 8 * 24 + 12 + 12, "{}", judged("authz_leak"));
    assert_eq!(judged("command_accepted"), 24);
    assert!(judged("wrong_close_or_error") >= 7 * 24, "{}", judged("wrong_close_or_error"));
    // Whoever was thrown out is back with a new session.
    assert_eq!(number(&report, "/fleet/clients_live_at_end"), 24);
    for rule in ["authz_leak", "command_accepted", "wrong_close_or_error"] {
        assert_eq!(report["oracle"]["undecided"][rule], 0, "{rule}");
    }
}

#[test]
fn a_revocation_without_effect_is_an_authz_leak_and_nothing_else() {
    let report = authority().defect("revocation_ignored").ended().exits(exit::NO_GO).report();
    assert_eq!(violated(&report), ["authz_leak"]);
    assert!(reasons(&report).contains("revoked"), "{}", reasons(&report));
}

#[test]
fn a_command_that_could_not_be_sent_leaves_its_gates_undecided() {
    // Without a load the run has no worker that a command could be for.
    let run = Harness::run(scenario("no_worker.toml")).ended().exits(exit::HOLD);
    let report = run.report();
    assert_eq!(faults(&report, "command_over_socket"), [(json!(4), json!(0))]);
    assert!(reasons(&report).contains("hit 0 of 4 clients"), "{}", reasons(&report));
}
