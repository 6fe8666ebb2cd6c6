//! Runs that look green and prove nothing: none of them may be a GO.

use khala_evidence::Record;
use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::record::{OfflineCause, OpKind, Outcome};

use crate::support::plans::{Planned, STORM, edited, one_objective};
use crate::support::records::{self, client_of, stream};
use crate::support::trial::{Trial, of};

/// The run of the storm, of which only violations are judged.
fn only_violations() -> Trial {
    let delivery = "[[gate.objective]]\nmetric = \"delivery\"\nduring = [\"steady\"]\nrequire = \"max < 5s\"\n\n";
    let text = edited(STORM, &[(delivery, "")]);
    let text = format!("{text}\n[profile.smoke]\njudge = [\"ux\"]\n");
    Trial::played(Planned::with_profile(&text, Some("smoke")))
}

/// The one verdict on an objective, of a fit generator.
fn verdict(objective: &str, records: Vec<Record>) -> Verdict {
    let mut trial = Trial::of(&one_objective(objective), records);
    let phases = trial.planned.schedule.phases.clone();
    trial.records.extend(phases.iter().map(|phase| records::lag(phase.start_us, 100)));
    let metric = trial.planned.plan.gates[0].objectives[0].metric;
    of(&trial.judge(), "one", metric.name())[0].verdict
}

#[test]
fn the_run_of_which_only_violations_are_judged_is_a_go_when_all_goes_well() {
    assert_eq!(only_violations().judge().decision, Decision::Go);
}

#[test]
fn a_run_whose_fault_never_happened_is_no_go() {
    let mut trial = only_violations();
    trial.facts.faults[0].applied = false;
    assert_eq!(trial.judge().decision, Decision::Hold);
}

#[test]
fn a_run_in_which_half_of_the_clients_never_get_a_socket_is_no_go() {
    let mut trial = only_violations().without_clients(|client| client % 2 == 1);
    for client in (1..80).step_by(2) {
        let refused = Outcome::ConnectionFailed;
        trial.records.push(records::connect_begun(client, 1_000, 1));
        trial.records.push(records::op(client, OpKind::Connect, 1_000, 2_000, refused));
        trial.records.push(records::retired(client, trial.end.at, false));
    }
    assert_ne!(trial.judge().decision, Decision::Go);
}

#[test]
fn a_run_at_whose_end_every_client_has_been_thrown_out_is_no_go() {
    let thrown_out = 15_000_000;
    let time = |record: &Record| {
        let json = serde_json::to_value(record).expect("records serialise");
        let at = json.get("at").or(json.get("done")).and_then(serde_json::Value::as_u64);
        at.unwrap_or(0)
    };
    let mut trial = only_violations().without(|record| {
        let retired = matches!(record, Record::Retired { .. });
        client_of(record).is_some() && !retired && time(record) >= thrown_out
    });
    for client in 0..80 {
        let refused = Outcome::ConnectionFailed;
        let again = thrown_out + 2_000_000;
        let closed = OfflineCause::ClosedByTarget { code: Some(1012) };
        let out = [
            records::offline(client, thrown_out, closed),
            records::connect_begun(client, again, 1),
            records::op(client, OpKind::Connect, again, again + 500, refused),
        ];
        let retired = trial.records.iter().position(|r| matches!(r, Record::Retired { .. }));
        let place = retired.expect("everybody is retired");
        trial.records.splice(place..place, out);
    }
    assert_eq!(trial.settle().clients_live_at_end, 0);
    assert_ne!(trial.judge().decision, Decision::Go);
}

#[test]
fn without_a_heartbeat_no_rate_of_their_time_outs_passes() {
    let objective =
        "metric = \"heartbeat_timeouts\"\nduring = [\"steady\"]\nrequire = \"rate <= 0.05/s\"";
    let connect =
        |client| records::op(client, OpKind::Connect, 20_000_000, 20_005_000, Outcome::Ok);
    assert_eq!(verdict(objective, (0..900).map(connect).collect()), Verdict::Inconclusive);
}

#[test]
fn attempts_of_clients_that_never_recover_count_as_too_many() {
    let objective =
        "metric = \"reconnect_attempts\"\nduring = [\"storm\"]\nrequire = \"p(80) <= 3\"";
    let cut_at = 620_000_000;
    let life = |client: u32| {
        let subscribed = |epoch, at| {
            [
                records::connect_begun(client, at, 1),
                records::connected(client, at),
                records::subscribe_sent(client, epoch, at, &[(stream(), None, 0)]),
                records::subscribe_ok(client, epoch, at, &[(stream(), 0)]),
            ]
        };
        let mut life = subscribed(1, 20_000_000).to_vec();
        life.push(records::cut(client, cut_at, 0, cut_at));
        if client < 50 {
            life.extend((1..40).map(|n| records::connect_begun(client, cut_at + u64::from(n), n)));
        } else {
            life.extend(subscribed(2, cut_at + 1_000_000));
        }
        life
    };
    assert_ne!(verdict(objective, (0..100).flat_map(life).collect()), Verdict::Pass);
}
