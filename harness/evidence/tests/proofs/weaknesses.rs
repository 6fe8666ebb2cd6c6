//! What the judge gets wrong, each as a test of what would be right. Ignored until it is: take the
//! attribute away with the bug. `cargo test -p khala-evidence --test proofs -- --ignored` shows how
//! each fails.

use khala_evidence::Record;
use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::oracle::Rule;
use khala_evidence::record::{OfflineCause, OpKind, Outcome};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::by_hand::ByHand;
use crate::support::edit::{self, apply};
use crate::support::history::valid;
use crate::support::plans::{self, Planned, STORM, edited, one_objective};
use crate::support::records::{self, client_of, stream};
use crate::support::trial::{Trial, of};
use crate::support::{broken, cases, shards};

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

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    #[ignore = "a reply's watermark is taken for what was delivered, where there was no cursor"]
    fn an_ok_reply_before_a_replay_without_a_cursor_is_a_false_replay_complete(
        history in valid(),
        draw in any::<Index>(),
    ) {
        let changes = edit::reply_before_replay(&history.records, false);
        prop_assume!(!changes.is_empty());
        let edited = apply(&history.records, draw.get(&changes));
        let settled = shards::settle(plans::history(), &edited, history.end);
        let broken = broken(&settled);
        prop_assert!(matches!(broken[..], [(Rule::FalseReplayComplete, 1..)]), "{broken:?}");
    }

    #[test]
    #[ignore = "a reply leaves no fact about a document that the client never got any version of"]
    fn a_replay_without_a_settled_document_is_a_false_replay_complete(
        history in valid(),
        draw in any::<Index>(),
    ) {
        let changes =
            edit::replay_without_a_settled_version(&history.records, 200_000, false);
        prop_assume!(!changes.is_empty());
        let edited = apply(&history.records, draw.get(&changes));
        let settled = shards::settle(plans::history(), &edited, history.end);
        let broken = broken(&settled);
        prop_assert!(matches!(broken[..], [(Rule::FalseReplayComplete, 1..)]), "{broken:?}");
    }
}

#[test]
#[ignore = "a reply's watermark is taken for what was delivered, where there was no cursor"]
fn a_replay_that_never_comes_is_noticed() {
    let mut run = ByHand::default();
    run.subscribe(0, 1, None).ok(0, 1, 0).publish(1..=8).deliver(0, 1, 1..=8);
    // Eight publishes, and the new client is told that it has them.
    run.subscribe(1, 1, None).ok(1, 1, 8).publish(9..=9).deliver(0, 1, 9..=9);
    let settled = run.deliver(1, 1, 9..=9).settle();
    assert_eq!(broken(&settled), [(Rule::FalseReplayComplete, 1)]);
}

#[test]
#[ignore = "without a cursor the first seq delivered is the baseline, whatever was acknowledged"]
fn a_replay_of_the_end_only_is_noticed() {
    let mut run = ByHand::default();
    run.subscribe(0, 1, None).ok(0, 1, 0).publish(1..=9).deliver(0, 1, 1..=9);
    // Nine publishes, of which the new client gets the last.
    let settled = run.subscribe(1, 1, None).deliver(1, 1, 9..=9).ok(1, 1, 9).settle();
    assert_ne!(broken(&settled), []);
}

#[test]
#[ignore = "a fault that did not bite is only held against objectives that read its phase"]
fn a_run_whose_fault_never_happened_is_no_go() {
    let mut trial = only_violations();
    trial.facts.faults[0].applied = false;
    assert_eq!(trial.judge().decision, Decision::Hold);
}

#[test]
#[ignore = "nothing counts connects that fail, and convergence is judged from the first socket on"]
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
#[ignore = "clients that are not live at the end witness nothing, and nobody asks where they are"]
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
#[ignore = "the chances of a heartbeat time-out are connects, not heartbeats"]
fn without_a_heartbeat_no_rate_of_their_time_outs_passes() {
    let objective =
        "metric = \"heartbeat_timeouts\"\nduring = [\"steady\"]\nrequire = \"rate <= 0.05/s\"";
    let connect = |client| records::op(client, OpKind::Connect, 20_000_000, 20_005_000, Outcome::Ok);
    assert_eq!(verdict(objective, (0..900).map(connect).collect()), Verdict::Inconclusive);
}

#[test]
#[ignore = "a connect that fails is no sample, and no other metric counts it"]
fn connects_of_which_half_fail_do_not_pass_a_p99() {
    let objective = "metric = \"connect\"\nduring = [\"steady\"]\nrequire = \"p(99) < 1s\"";
    let connect = |client: u32| {
        let outcome = if client % 2 == 0 { Outcome::Ok } else { Outcome::ConnectionFailed };
        records::op(client, OpKind::Connect, 20_000_000, 20_005_000, outcome)
    };
    assert_ne!(verdict(objective, (0..1_000).map(connect).collect()), Verdict::Pass);
}

#[test]
#[ignore = "the attempts of a client that never recovers are no sample"]
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

#[test]
#[ignore = "a histogram's bucket that holds the bound counts as beyond it, also for an exact maximum"]
fn a_maximum_below_its_bound_is_kept() {
    let objective = "metric = \"connect\"\nduring = [\"steady\"]\nrequire = \"max < 20s\"";
    let connect = records::op(0, OpKind::Connect, 20_000_000, 39_999_000, Outcome::Ok);
    assert_eq!(verdict(objective, vec![connect]), Verdict::Pass);
}
