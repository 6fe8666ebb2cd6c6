//! Refusals: which stop a client for ever, and which do not.

use khala_evidence::record::{OfflineCause, OpKind, Outcome};

use super::rig::{ARRIVAL, Action, Rig, SECOND, is_stopped_for_ever, refused};
use crate::client::machine::Phase;

#[test]
fn a_forbidden_upgrade_stops_the_client_for_ever() {
    let mut rig = Rig::new();
    rig.now = ARRIVAL;
    rig.tick();
    let action = rig.with(|machine, now, world| {
        machine.connect_failed(now, now + 5, Outcome::RefusedAuth, world)
    });
    assert_eq!(action, Action::Stop);
    assert_eq!(rig.op(OpKind::Connect).outcome, Outcome::RefusedAuth);
    is_stopped_for_ever(&mut rig);
}

#[test]
fn a_refused_token_request_stops_the_client_and_any_other_failure_backs_off() {
    for outcome in [Outcome::RefusedAuth, Outcome::Timeout, Outcome::ProtocolError] {
        let mut rig = Rig::new();
        rig.tick();
        let action = rig.with(|machine, now, world| machine.minted(now, now + 5, outcome, world));
        assert_eq!(rig.ops(), [(OpKind::Mint, outcome)], "there was no connect");
        if outcome == Outcome::RefusedAuth {
            assert_eq!(action, Action::Stop);
            is_stopped_for_ever(&mut rig);
        } else {
            assert_eq!(action, Action::None);
            assert_eq!(rig.machine.phase(), Phase::Waiting(ARRIVAL + 5 + 2 * SECOND));
        }
    }
}

#[test]
fn a_join_refused_for_the_session_or_for_the_build_stops_the_client_for_ever() {
    let incompatible = [
        "invalid_client_build",
        "unsupported_protocol_version",
        "unsupported_schema_version",
        "upgrade_required",
        "unsupported_client_build",
    ]
    .map(|code| (code, Outcome::RefusedIncompatible));
    for (code, outcome) in
        incompatible.into_iter().chain([("reauth_required", Outcome::RefusedAuth)])
    {
        let mut rig = Rig::new();
        let join = rig.connect();
        assert_eq!(rig.text(&refused(&join, code)), Action::Stop, "{code}");
        assert_eq!(rig.op(OpKind::Join).outcome, outcome, "{code}");
        assert_eq!(rig.causes(), [OfflineCause::GaveUp], "its socket is gone: {code}");
        is_stopped_for_ever(&mut rig);
    }
}

#[test]
fn a_join_that_a_revocation_meets_is_the_revocations_and_the_client_comes_back() {
    let mut rig = Rig::new();
    let join = rig.connect();
    let (now, until) = (rig.now, rig.now + 10 * SECOND);
    rig.machine.revoking(7, now, until);
    assert_eq!(rig.text(&refused(&join, "reauth_required")), Action::Close);
    assert_eq!(rig.op(OpKind::Join).outcome, Outcome::Interrupted);
    assert_eq!(rig.causes(), [OfflineCause::Fault { id: 7, intended: now }]);
    assert_eq!(rig.delay(), 10 * SECOND);
}

#[test]
fn a_forbidden_topic_is_an_error_after_which_the_client_comes_back() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    assert_eq!(rig.text(&refused(&subscribe, "forbidden_topic")), Action::Close);
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::RefusedTopic);
    assert_eq!(rig.causes(), [OfflineCause::GaveUp]);
    assert_eq!(rig.delay(), 2 * SECOND);
}
