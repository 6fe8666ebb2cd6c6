//! The ways a socket ends, and the end of the run.

use khala_evidence::record::{OfflineCause, OpKind, Outcome, Record};
use serde_json::json;

use super::rig::{ARRIVAL, Action, CLIENT, Rig, SECOND, is_stopped_for_ever, push};

#[test]
fn the_close_of_our_channel_is_the_end_of_the_socket() {
    for join_ref in ["1", "null"] {
        let mut rig = Rig::live();
        let text = push("1", "phx_close", &json!({})).replacen("\"1\"", join_ref, 1);
        let text = text.replacen("1", &rig.join_ref, 1);
        assert_eq!(rig.text_as_it_is(&text), Action::Close, "{text}");
        assert_eq!(rig.causes(), [OfflineCause::ChannelClosed], "{text}");
        assert_eq!(rig.delay(), 2 * SECOND);
    }
}

#[test]
fn the_end_of_another_channel_is_not_ours() {
    for event in ["phx_close", "phx_error"] {
        let mut rig = Rig::live();
        rig.text(&push("99", event, &json!({})));
        rig.text(&json!(["1", null, "phoenix", event, {}]).to_string());
        assert!(rig.machine.is_live(), "{event}");
        assert!(rig.causes().is_empty(), "{event}: {:?}", rig.records);
    }
}

#[test]
fn the_join_ref_of_an_older_socket_is_not_ours_any_more() {
    let mut rig = Rig::live();
    let close = push(&rig.join_ref, "phx_close", &json!({}));
    rig.broken();
    rig.go_live(&json!([]));
    assert_eq!(rig.text_as_it_is(&close), Action::None);
    assert!(rig.machine.is_live());
}

#[test]
fn a_channel_that_crashes_on_the_subscribe_has_not_answered_it() {
    let mut rig = Rig::new();
    let subscribe = rig.join();
    rig.text(&push(&subscribe.join_ref, "phx_error", &json!({})));
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::ConnectionFailed);
    assert_eq!(rig.causes(), [OfflineCause::ChannelClosed]);
}

#[test]
fn a_socket_that_the_target_ends_is_recorded_with_its_code() {
    let mut rig = Rig::live();
    rig.with(|machine, now, world| machine.closed(now, Some(1012), world));
    assert_eq!(rig.causes(), [OfflineCause::ClosedByTarget { code: Some(1012) }]);
    rig.with(|machine, now, world| machine.closed(now, None, world));
    rig.broken();
    assert_eq!(rig.causes().len(), 1, "a socket is lost once");
}

#[test]
fn a_cut_hits_only_a_client_with_a_socket() {
    let mut rig = Rig::new();
    assert!(!rig.cut(3, ARRIVAL), "it has not arrived");
    rig.tick();
    assert!(!rig.cut(3, ARRIVAL), "it is dialling");
    assert!(rig.causes().is_empty());

    let mut rig = Rig::live();
    rig.now += SECOND;
    let intended = rig.now - 250;
    assert!(rig.cut(3, intended));
    assert_eq!(rig.causes(), [OfflineCause::Fault { id: 3, intended }]);
    assert_eq!(rig.delay(), 2 * SECOND, "it comes back as after any other loss");
    assert!(!rig.cut(4, intended), "there is nothing left to cut");
    assert_eq!(rig.causes().len(), 1);
}

#[test]
fn what_a_cut_interrupts_is_not_the_targets_doing() {
    let mut rig = Rig::new();
    rig.connect();
    assert!(rig.cut(0, rig.now));
    assert_eq!(rig.op(OpKind::Join).outcome, Outcome::Interrupted);
    let mut rig = Rig::new();
    rig.join();
    assert!(rig.cut(0, rig.now));
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::Interrupted);
}

#[test]
fn retiring_twice_is_recorded_once_and_nothing_follows() {
    let mut rig = Rig::live();
    let at = rig.now;
    rig.retire();
    rig.now += SECOND;
    rig.retire();
    assert_eq!(rig.records, [Record::Retired { client: CLIENT, at, connected: true }]);
    is_stopped_for_ever(&mut rig);
    assert!(!rig.cut(0, at));
    assert_eq!(rig.records.len(), 1);
}

#[test]
fn retiring_says_whether_there_was_a_socket_and_ends_what_was_pending() {
    let mut rig = Rig::new();
    let at = rig.now;
    rig.retire();
    assert_eq!(rig.records, [Record::Retired { client: CLIENT, at, connected: false }]);

    let mut rig = Rig::new();
    rig.join();
    rig.retire();
    assert_eq!(rig.op(OpKind::Subscribe).outcome, Outcome::Interrupted);
    assert!(matches!(rig.records.last(), Some(Record::Retired { connected: true, .. })));
}
