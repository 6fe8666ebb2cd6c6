//! What befell the run is attributed to whom it belongs: to the plan while what it did may last, to the harness where it
//! follows from its own stalls and omissions, and else to the target.

use khala_evidence::judge::{Decision, Verdict};
use khala_evidence::record::{Cut, Micros, OfflineCause, Outcome, Record, Request, Resource};
use khala_evidence::shard::stability::Blame;
use khala_plan::stability::Incident;

use crate::support::incidents::{
    ELSEWHERE, REFUSED, RESET, S, UNAVAILABLE, answered, at_home, beat, blamed, closed, ends,
    fault, fleet, hooked, kind, live, one, told, upgrade,
};
use crate::support::records;
use crate::support::trial::Trial;

#[test]
fn a_planned_cut_answers_for_its_client_until_it_is_live_again_or_the_bound_is_over() {
    let home = at_home(&fault("disconnect", "mode = \"all\""));
    let cut = |more: Vec<Record>| {
        let mut list = live(0, 20 * S);
        list.push(records::cut(0, 91 * S, 0, 90 * S));
        list.extend(more);
        Trial::of(&home, list).settle()
    };
    let failing = |begun: Micros, at: Micros| {
        let settled = cut(vec![records::connect_begun(0, begun, 1), upgrade(0, at, RESET)]);
        blamed(&settled, Incident::ConnectErrors)
    };
    assert_eq!(failing(93 * S, 94 * S), Blame::Plan);
    assert_eq!(failing(93 * S, 123 * S), Blame::Plan);
    assert_eq!(failing(93 * S, 123 * S + 1), Blame::Target, "the bound is over");
    assert_eq!(failing(400 * S, 410 * S), Blame::Plan, "it stayed away for long");
    let mut more = live(0, 93 * S);
    more.extend([beat(0, 96 * S), records::offline(0, 97 * S, closed(1011))]);
    assert_eq!(blamed(&cut(more), Incident::SocketEnds), Blame::Target, "it was live again");
    let others = cut(vec![upgrade(1, 94 * S, RESET)]);
    assert_eq!(blamed(&others, Incident::ConnectErrors), Blame::Target, "it hit another client");
}

#[test]
fn who_was_merely_cut_off_is_let_in_and_a_refusal_is_the_targets() {
    let after = |faults: &str, what| {
        let mut list = live(0, 20 * S);
        list.push(records::cut(0, 91 * S, 0, 90 * S));
        list.extend([records::connect_begun(0, 93 * S, 1), what]);
        Trial::of(&at_home(faults), list).settle()
    };
    let refusals = [
        (Request::Mint, (Outcome::ProtocolError, "502"), Incident::MintErrors),
        (Request::Connect, UNAVAILABLE, Incident::ConnectErrors),
        (Request::Connect, (Outcome::RefusedAuth, "403"), Incident::AuthErrors),
        (Request::Join, (Outcome::RefusedAuth, "reauth_required"), Incident::AuthErrors),
        (Request::Snapshot, (Outcome::ProtocolError, "200, no JSON"), Incident::SnapshotErrors),
    ];
    let cut_off = fault("disconnect", "mode = \"all\"");
    let away = fault("offline", "mode = \"all\"\nattributes = { offline_for = \"2s\" }");
    let revoked = fault("revoke_sessions", "mode = \"all\"\nattributes = { revoked_for = \"2s\" }");
    for (request, how, incident) in refusals {
        let refused = || answered(request, Some(0), 94 * S, how);
        for merely in [&cut_off, &away] {
            assert_eq!(blamed(&after(merely, refused()), incident), Blame::Target, "{request:?}");
        }
        assert_eq!(blamed(&after(&revoked, refused()), incident), Blame::Plan, "{request:?}");
    }
    let unanswered = answered(Request::Mint, Some(0), 94 * S, (Outcome::Timeout, "timeout"));
    assert_eq!(blamed(&after(&cut_off, unanswered), Incident::MintErrors), Blame::Plan);
}

#[test]
fn a_slow_clients_eviction_is_the_plans() {
    let home = at_home(&fault(
        "slow_reader",
        "duration = \"60s\"\nmode = \"one\"\nattributes = { pause = true, rcvbuf = \"4KiB\" }",
    ));
    let of = |at: Micros, cause| {
        let mut list = live(0, 20 * S);
        list.extend([
            records::slow_began(0, 90 * S),
            records::slow_ended(0, 150 * S, true),
            beat(0, 151 * S),
            beat(0, 170 * S),
        ]);
        let place = list.iter().position(|record| record.at() > at).unwrap_or(list.len());
        list.insert(place, records::offline(0, at, cause));
        Trial::of(&home, list).settle()
    };
    let evicted = |at| blamed(&of(at, OfflineCause::ChannelClosed), Incident::ChannelEnds);
    assert_eq!(evicted(120 * S), Blame::Plan);
    assert_eq!(evicted(153 * S), Blame::Plan, "what was said meanwhile has to be read first");
    assert_eq!(evicted(180 * S), Blame::Target);
    assert_eq!(evicted(80 * S), Blame::Target);
    let silent = of(120 * S, OfflineCause::HeartbeatTimeout);
    assert_eq!(blamed(&silent, Incident::HeartbeatTimeouts), Blame::Plan);
}

#[test]
fn a_restart_answers_for_everybody_while_it_may_take() {
    let home = at_home(&fault("restart", "attributes = { signal = \"term\" }"));
    let of = |record: Record, incident| blamed(&Trial::of(&home, vec![record]).settle(), incident);
    let publish = |at| answered(Request::Publish, None, at, REFUSED);
    for (at, blame) in [
        (89 * S, Blame::Target),
        (90 * S, Blame::Plan),
        (110 * S, Blame::Plan),
        (112 * S, Blame::Target),
    ] {
        assert_eq!(of(upgrade(3, at, REFUSED), Incident::ConnectErrors), blame, "{at}");
        assert_eq!(of(publish(at), Incident::PublishErrors), blame, "{at}");
    }
}

#[test]
fn a_hook_answers_for_what_it_says_that_it_causes_and_only_so_long() {
    let of =
        |home: &str, record: Record, what| blamed(&Trial::of(home, vec![record]).settle(), what);
    let publish = |at| answered(Request::Publish, None, at, REFUSED);
    let silent = hooked("", "");
    assert_eq!(
        of(&silent, publish(91 * S), Incident::PublishErrors),
        Blame::Target,
        "it says nothing"
    );
    let instant = hooked("", ", causes = [\"publish_errors\"], effects_for = \"3s\"");
    let lasting =
        hooked("duration = \"10s\"", ", causes = [\"publish_errors\"], effects_for = \"3s\"");
    for (home, last) in [(&instant, 93 * S), (&lasting, 103 * S)] {
        for (at, blame) in [
            (89 * S, Blame::Target),
            (90 * S, Blame::Plan),
            (last, Blame::Plan),
            (last + 2_000, Blame::Target),
        ] {
            assert_eq!(of(home, publish(at), Incident::PublishErrors), blame, "{at}");
        }
        let refused = upgrade(3, 91 * S, REFUSED);
        assert_eq!(
            of(home, refused, Incident::ConnectErrors),
            Blame::Target,
            "it says nothing of it"
        );
    }
}

#[test]
fn who_is_cut_off_by_a_hook_comes_back_as_from_any_cut_and_by_any_other_is_unplanned() {
    let broken = OfflineCause::Broken { how: Cut::Reset };
    let of = |causes: &str, at: Micros| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, at - 10 * S), records::offline(0, at, broken)]);
        list.push(records::connect_begun(0, at + 2 * S, 2));
        list.push(upgrade(0, at + 20 * S, REFUSED));
        let settled = Trial::of(&hooked("", causes), list).settle();
        let blame = |incident| blamed(&settled, incident);
        (blame(Incident::SocketEnds), blame(Incident::ConnectErrors))
    };
    let cuts = ", causes = [\"socket_ends\"]";
    let cut = |text: &str| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, 81 * S), records::offline(0, 91 * S, broken)]);
        let report = Trial::of(text, list).report();
        report.planned_ends.iter().map(|line| (line.kind, line.count)).collect::<Vec<_>>()
    };
    assert_eq!(cut(&hooked("", cuts)), [(Incident::SocketEnds, 1)], "what the hook did is told");
    assert_eq!(cut(&hooked("", "")), [], "it says nothing of sockets");
    assert_eq!(of(cuts, 91 * S), (Blame::Plan, Blame::Plan));
    assert_eq!(of(cuts, 97 * S), (Blame::Target, Blame::Target));
    assert_eq!(of(", causes = [\"absence\"]", 91 * S), (Blame::Target, Blame::Target));
}

/// A graceful stop closes with 1012, or with 1000 before the join; whoever merely breaks off does not.
#[test]
fn a_hook_that_has_sockets_closed_answers_for_no_others_ends() {
    let causes = ", causes = [\"absence\", \"socket_closes\", \"connect_errors\"]";
    let of = |at: Micros, cause| {
        let mut list = fleet(12);
        list.extend(ends(0..12, at, cause));
        list.extend([upgrade(3, at + S, REFUSED), upgrade(3, at + 3 * S, REFUSED)]);
        list.extend((0..12).flat_map(|client| live(client, at + 4 * S)));
        Trial::of(&hooked("", causes), list)
    };
    let verdict = |at, cause| kind(&of(at, cause).judge(), Incident::SocketEnds);
    for code in [1000, 1012] {
        let in_order = of(90 * S, closed(code));
        assert_eq!(blamed(&in_order.settle(), Incident::SocketEnds), Blame::Plan, "{code}");
        assert_eq!(in_order.settle().absences, [], "{code}");
        assert_eq!(verdict(97 * S, closed(code)).map(|it| it.0), Some(Verdict::Fail), "it is over");
    }
    for (cause, said) in [
        (OfflineCause::Broken { how: Cut::Reset }, "was reset"),
        (OfflineCause::Broken { how: Cut::Eof }, "ended without a close frame"),
        (closed(1011), "close 1011"),
    ] {
        let abrupt = of(90 * S, cause);
        assert_eq!(
            told(&abrupt.settle(), Incident::SocketEnds, Blame::Target),
            [(said.to_owned(), 12)]
        );
        assert_eq!(verdict(90 * S, cause).map(|it| it.0), Some(Verdict::Fail), "{said}");
        assert!(!one(&abrupt.settle().absences).planned, "{said}");
    }
}

#[test]
fn what_follows_from_a_stall_of_the_clients_own_thread_is_the_harnesss() {
    let of = |thread, from: Micros, to: Micros, at: Micros| {
        let mut list = live(0, 20 * S);
        list.push(beat(0, 55 * S));
        list.push(Record::Stall { thread, from, to });
        list.push(records::offline(0, at, OfflineCause::ChannelClosed));
        Trial::of(ELSEWHERE, list)
    };
    let blame =
        |thread, from, to, at| blamed(&of(thread, from, to, at).settle(), Incident::ChannelEnds);
    assert_eq!(blame(0, 60 * S, 61 * S, 63 * S), Blame::Ours);
    assert_eq!(blame(1, 60 * S, 61 * S, 63 * S), Blame::Target, "another thread's");
    assert_eq!(blame(0, 60 * S, 60 * S + 499_999, 63 * S), Blame::Target, "too short");
    assert_eq!(blame(0, 60 * S, 61 * S, 65 * S), Blame::Target, "too long ago");
    let (verdict, reason) =
        kind(&of(0, 60 * S, 61 * S, 63 * S).judge(), Incident::ChannelEnds).expect("judged");
    assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    assert!(reason.contains("the harness's own"), "{reason}");
    assert_eq!(of(0, 60 * S, 61 * S, 63 * S).judge().decision, Decision::Hold);
}

#[test]
fn a_channel_that_was_left_without_a_heartbeat_for_a_minute_was_rightly_closed() {
    let of = |last_beat: Micros, cause| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, last_beat), records::offline(0, 120 * S, cause)]);
        Trial::of(ELSEWHERE, list).settle()
    };
    let eof = OfflineCause::Broken { how: Cut::Eof };
    let channel = |last| blamed(&of(last, OfflineCause::ChannelClosed), Incident::ChannelEnds);
    assert_eq!((channel(60 * S), channel(61 * S)), (Blame::Ours, Blame::Target));
    let socket = |cause| blamed(&of(50 * S, cause), Incident::SocketEnds);
    assert_eq!((socket(closed(1002)), socket(eof)), (Blame::Ours, Blame::Ours));
    assert_eq!((socket(closed(1011)), socket(closed(1012))), (Blame::Target, Blame::Target));
}

#[test]
fn what_the_harness_had_no_means_for_is_its_own() {
    for resource in [
        Resource::Ports,
        Resource::Descriptors,
        Resource::Memory,
        Resource::Addresses,
        Resource::Names,
    ] {
        let record = upgrade(0, 60 * S, (Outcome::Exhausted(resource), "out of it"));
        let settled = Trial::of(ELSEWHERE, vec![record]).settle();
        assert_eq!(blamed(&settled, Incident::ConnectErrors), Blame::Ours);
    }
}
