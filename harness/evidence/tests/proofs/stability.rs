//! What befell the run although nobody planned it: told from the first incident on, and too much of it beyond the
//! limit. Whose doing an incident is stands in `blame`, and when the target was away in `absences`.

use khala_evidence::judge::{Decision, RunVerdict, Verdict};
use khala_evidence::record::{Cut, Micros, OfflineCause, Outcome, Probe, Record, Request};
use khala_evidence::render;
use khala_evidence::shard::stability::Blame;
use khala_plan::stability::Incident;

use crate::support::incidents::{
    ELSEWHERE, S, TAKEN, UNAVAILABLE, absence, answered, at_home, beat, blamed, closed, ends,
    fleet, gate, kind, live, told,
};
use crate::support::records;
use crate::support::trial::Trial;

// Single incidents.

#[test]
fn every_end_of_a_socket_or_channel_is_told_by_kind_and_code() {
    let of = |cause| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, 55 * S), records::offline(0, 60 * S, cause)]);
        let settled = Trial::of(ELSEWHERE, list).settle();
        let found = Incident::ALL.iter().filter_map(|&incident| {
            let told = told(&settled, incident, Blame::Target);
            told.first().map(|(code, count)| (incident, code.clone(), *count))
        });
        found.collect::<Vec<_>>()
    };
    for (cause, incident, code) in [
        (closed(1011), Incident::SocketEnds, "close 1011"),
        (closed(1012), Incident::SocketEnds, "close 1012"),
        (OfflineCause::ClosedByTarget { code: None }, Incident::SocketEnds, "close without a code"),
        (
            OfflineCause::Broken { how: Cut::Eof },
            Incident::SocketEnds,
            "ended without a close frame",
        ),
        (OfflineCause::Broken { how: Cut::Reset }, Incident::SocketEnds, "was reset"),
        (OfflineCause::ChannelClosed, Incident::ChannelEnds, "closed or crashed"),
        (OfflineCause::HeartbeatTimeout, Incident::HeartbeatTimeouts, "the socket was silent"),
        (
            OfflineCause::ChannelSilent { asked: 59 * S },
            Incident::HeartbeatTimeouts,
            "the channel was silent",
        ),
    ] {
        assert_eq!(of(cause), [(incident, code.to_owned(), 1)], "{cause:?}");
    }
    // What led to it is told instead.
    assert_eq!(of(OfflineCause::GaveUp), []);
    assert_eq!(of(OfflineCause::Fault { id: 0, intended: 60 * S }), []);
}

#[test]
fn requests_that_failed_are_incidents_of_their_kind_and_documented_answers_are_none() {
    let of = |request, how| {
        let settled = Trial::of(ELSEWHERE, vec![answered(request, Some(0), 60 * S, how)]).settle();
        let found = Incident::ALL
            .iter()
            .filter(|&&incident| !told(&settled, incident, Blame::Target).is_empty());
        found.copied().collect::<Vec<_>>()
    };
    use Outcome::{
        ConnectionFailed, ProtocolError, RefusedAuth, RefusedTopic, StaleCursor, Timeout,
    };
    for (request, how, incident) in [
        (Request::Connect, UNAVAILABLE, Some(Incident::ConnectErrors)),
        (Request::Connect, (Timeout, "timeout"), Some(Incident::ConnectErrors)),
        (Request::Connect, (ProtocolError, "429"), Some(Incident::ConnectErrors)),
        (Request::Connect, (RefusedAuth, "403"), Some(Incident::AuthErrors)),
        (Request::Join, (RefusedAuth, "reauth_required"), Some(Incident::AuthErrors)),
        (Request::Join, (Timeout, "timeout"), Some(Incident::JoinErrors)),
        (Request::Join, (ConnectionFailed, "its socket was reset"), None),
        (Request::Mint, (ProtocolError, "503"), Some(Incident::MintErrors)),
        (Request::Subscribe, (RefusedTopic, "forbidden_topic"), Some(Incident::SubscribeErrors)),
        (Request::Subscribe, (StaleCursor, "stale_cursor"), None),
        (Request::Unsubscribe, (Timeout, "timeout"), Some(Incident::SubscribeErrors)),
        // A rule tells of it.
        (Request::Unsubscribe, (RefusedTopic, "refused"), None),
        (Request::Snapshot, (ProtocolError, "500"), Some(Incident::SnapshotErrors)),
        (Request::Snapshot, (ProtocolError, "404 snapshot_unsupported"), None),
        (Request::Publish, (ProtocolError, "500"), Some(Incident::PublishErrors)),
        (Request::Publish, (ProtocolError, "429"), Some(Incident::PublishErrors)),
        (Request::Publish, (ProtocolError, "429 khala_publish_rate_limited"), None),
        (Request::Revoke, (ProtocolError, "500"), None),
        (Request::TriedConnect, (RefusedAuth, "403"), None),
        (Request::Metrics, (Timeout, "timeout"), None),
        (Request::Connect, (Outcome::Interrupted, "interrupted"), None),
        (Request::Connect, TAKEN, None),
    ] {
        assert_eq!(
            of(request, how),
            incident.into_iter().collect::<Vec<_>>(),
            "{request:?} {how:?}"
        );
    }
}

#[test]
fn a_join_after_the_first_is_a_rejoin_and_belongs_to_whoever_made_it_necessary() {
    let again = |cause| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, 50 * S), records::offline(0, 60 * S, cause)]);
        list.extend(live(0, 62 * S));
        blamed(&Trial::of(ELSEWHERE, list).settle(), Incident::Rejoins)
    };
    assert_eq!(again(closed(1011)), Blame::Target);
    assert_eq!(again(OfflineCause::Fault { id: 0, intended: 60 * S }), Blame::Plan);
    let once = Trial::of(ELSEWHERE, live(0, 20 * S)).settle();
    assert_eq!(told(&once, Incident::Rejoins, Blame::Target), []);
}

// Limits.

#[test]
fn one_end_in_a_thousand_clients_elsewhere_is_told_and_within_the_limit_and_two_are_not() {
    let of = |cut: u32| {
        let mut list = fleet(1_000);
        list.extend((0..1_000).map(|client| beat(client, 290 * S)));
        list.extend(ends(0..cut, 300 * S, closed(1011)));
        Trial::of(ELSEWHERE, list)
    };
    let (verdict, reason) = kind(&of(1).judge(), Incident::SocketEnds).expect("judged");
    assert_eq!(verdict, Verdict::Pass);
    assert!(
        reason.starts_with("1 (close 1011 ×1), 1 client, first at 300.00 s; 1 allowed"),
        "{reason}"
    );
    assert!(reason.contains("an assumption"), "{reason}");
    let report = of(1).report();
    assert_eq!(report.unplanned_ends.len(), 1);
    let shown = render::terminal::render(&report, render::terminal::Colour::Never);
    let line = shown.lines().nth(1).expect("directly under the verdict");
    assert!(line.contains("socket_ends 1 (close 1011 ×1), clients: 1"), "{shown}");
    let (verdict, reason) = kind(&of(2).judge(), Incident::SocketEnds).expect("judged");
    assert_eq!(verdict, Verdict::Fail, "{reason}");
    assert_eq!(of(2).judge().decision, Decision::NoGo);
}

#[test]
fn the_embedded_runtime_has_none_to_spare_and_the_scenario_may_say_otherwise() {
    let of = |text: &str| {
        let mut list = fleet(12);
        list.extend([beat(0, 290 * S), records::offline(0, 300 * S, closed(1011))]);
        kind(&Trial::of(text, list).judge(), Incident::SocketEnds).expect("judged").0
    };
    let home = at_home("");
    assert_eq!(of(&home), Verdict::Fail);
    assert_eq!(of(&format!("{home}\n[stability]\nsocket_ends = 1\n")), Verdict::Pass);
    assert_eq!(of(&format!("{home}\n[stability]\nlimit = 1\n")), Verdict::Pass);
    assert_eq!(of(&format!("{home}\n[target.stability]\nsocket_ends = \"10%\"\n")), Verdict::Pass);
}

#[test]
fn tokens_may_fail_as_often_as_the_contract_says() {
    let of = |failed: u32| {
        let ok = (0..200)
            .map(|client| answered(Request::Mint, Some(client), 30 * S, (Outcome::Ok, "200")));
        let bad = (0..failed).map(|client| {
            answered(Request::Mint, Some(client), 31 * S, (Outcome::ProtocolError, "503"))
        });
        kind(&Trial::of(ELSEWHERE, ok.chain(bad).collect()).judge(), Incident::MintErrors)
    };
    assert_eq!(of(2).expect("judged").0, Verdict::Pass);
    let (verdict, reason) = of(3).expect("judged");
    assert_eq!(verdict, Verdict::Fail);
    assert!(reason.contains("HTTP 503 ×3") && reason.contains("contract, section 7"), "{reason}");
}

#[test]
fn what_the_run_had_no_occasion_for_is_not_judged() {
    let verdict = Trial::of(&at_home(""), fleet(12)).judge();
    assert_eq!(kind(&verdict, Incident::MintErrors), None);
    assert_eq!(kind(&verdict, Incident::SocketEnds).expect("judged").0, Verdict::Pass);
    assert_eq!(absence(&Trial::of(ELSEWHERE, Vec::new()).judge()).0, Verdict::Inconclusive);
    // What it takes is told where something is wanting, and only there.
    let wants = |verdict: &RunVerdict| {
        let objectives = gate(verdict).objectives.iter();
        let mut absences = objectives.filter(|one| one.metric == "absence");
        absences.next().expect("it is always judged").it_takes.clone()
    };
    let never = wants(&Trial::of(ELSEWHERE, Vec::new()).judge());
    assert!(never.is_some_and(|takes| takes.contains("ask the target")));
    assert_eq!(wants(&verdict), None);
    let unasked = Trial::of(ELSEWHERE, Vec::new()).judge();
    assert!(unasked.of_the_run.iter().any(|reason| reason.it_takes.is_some()));
}

#[test]
fn sockets_that_all_end_after_the_same_silence_are_ended_by_an_idle_time_out() {
    let of = |silences: [Micros; 4]| {
        let mut list = fleet(12);
        for (client, silence) in (0..4).zip(silences) {
            let heard = 300 * S + u64::from(client) * S;
            let (sent, bytes, excerpt) = (false, 2, "[]".into());
            list.push(Record::Frame { client, at: heard, sent, bytes, excerpt });
            list.push(beat(client, heard));
            list.push(records::offline(client, heard + silence, closed(1011)));
        }
        list.sort_by_key(Record::at);
        kind(&Trial::of(&at_home(""), list).judge(), Incident::SocketEnds).expect("judged").1
    };
    let same = of([5 * S, 5 * S + 100_000, 5 * S + 400_000, 6 * S]);
    assert!(same.contains("nothing had come over it for 5.0 to 6.0 s: an idle time-out"), "{same}");
    for others in [[5 * S, 5 * S, 5 * S, 9 * S], [100, 200, 300, 400]] {
        assert!(!of(others).contains("idle"), "{others:?}");
    }
}

#[test]
fn time_outs_of_a_starved_machine_decide_nothing_and_refusals_do() {
    let of = |how, waited_us| {
        let mut list = fleet(12);
        list.push(Record::SchedulerLag { thread: 0, at: 290 * S, lag_us: 1 });
        list.extend((20..600).map(|second| {
            let probe = Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() };
            Record::Probe(probe)
        }));
        list.push(answered(Request::Publish, None, 300 * S, how));
        kind(&Trial::of(&at_home(""), list).judge(), Incident::PublishErrors).expect("judged").0
    };
    let late = (Outcome::Timeout, "timeout");
    assert_eq!(of(late, 600_000), Verdict::Inconclusive);
    assert_eq!(of(late, 100_000), Verdict::Fail);
    assert_eq!(of(UNAVAILABLE, 600_000), Verdict::Fail);
}

/// The looks of a run of ten minutes in which the generator waited for a core for most of some seconds.
fn waited_from(from: u64, to: u64) -> Vec<Record> {
    let look = |second| {
        let waited_us = if (from..=to).contains(&second) { 700_000 } else { 20_000 };
        Record::Probe(Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() })
    };
    let lag = Record::SchedulerLag { thread: 0, at: 290 * S, lag_us: 1 };
    std::iter::once(lag).chain((20..600).map(look)).collect()
}

#[test]
fn time_outs_decide_nothing_where_the_machine_was_starved_while_they_were_waited_for() {
    let of = |(from, to), times: &[(u64, u64)], how: (Outcome, &str)| {
        let mut list = fleet(12);
        list.extend(waited_from(from, to));
        for &(asked, given_up) in times {
            let request = Request::Publish;
            list.push(records::answered(request, None, [asked * S, given_up * S], how));
        }
        list.sort_by_key(Record::at);
        kind(&Trial::of(&at_home(""), list).judge(), Incident::PublishErrors).expect("judged")
    };
    let late = (Outcome::Timeout, "timeout");
    let ten = [(300, 310)];
    let (verdict, why) = of((300, 310), &ten, late);
    assert_eq!(verdict, Verdict::Inconclusive, "{why}");
    assert!(why.contains("70 % of the time from 300 to 310 s"), "{why}");
    assert_eq!(of((300, 310), &ten, UNAVAILABLE).0, Verdict::Fail, "no lateness");
    assert_eq!(of((311, 330), &ten, late).0, Verdict::Fail, "starved afterwards");
    assert_eq!(of((307, 310), &ten, late).0, Verdict::Fail, "for a third of the time");
    let both = [(300, 310), (400, 410)];
    assert_eq!(of((300, 310), &both, late).0, Verdict::Fail, "one is left");
    assert_eq!(of((300, 410), &both, late).0, Verdict::Inconclusive);
}

#[test]
fn commands_that_were_kept_back_decide_nothing_where_the_machine_was_starved_meanwhile() {
    let of = |(from, to)| {
        let mut list = fleet(12);
        list.extend(waited_from(from, to));
        list.push(Record::Withheld { publish: 0, intended: 300 * S, at: 304 * S });
        list.sort_by_key(Record::at);
        kind(&Trial::of(&at_home(""), list).judge(), Incident::PublishErrors).expect("judged").0
    };
    assert_eq!(of((300, 304)), Verdict::Inconclusive);
    assert_eq!(of((305, 330)), Verdict::Fail, "starved afterwards");
}

#[test]
fn heartbeats_and_rejoins_decide_nothing_where_the_machine_was_starved_meanwhile() {
    let of = |cause, starved: (u64, u64)| {
        let mut list = fleet(12);
        list.extend(waited_from(starved.0, starved.1));
        for client in 0..12_u32 {
            let asked = 300 * S + u64::from(client) * 1_000;
            list.push(beat(client, asked));
            let (request, late) = (Request::Subscribe, (Outcome::Timeout, "timeout"));
            if cause == OfflineCause::GaveUp {
                let waited = [asked, asked + 10 * S];
                list.push(records::answered(request, Some(client), waited, late));
            }
            list.push(records::offline(client, asked + 10 * S, cause));
            list.extend(live(client, asked + 11 * S));
        }
        list.sort_by_key(Record::at);
        let verdict =
            Trial::of(&at_home("[stability]\nrejoins = 3\nheartbeat_timeouts = 3\n"), list).judge();
        let of = |incident| kind(&verdict, incident).expect("judged").0;
        (of(Incident::HeartbeatTimeouts), of(Incident::Rejoins))
    };
    let silent = OfflineCause::ChannelSilent { asked: 300 * S };
    let undecided = Verdict::Inconclusive;
    for cause in [OfflineCause::HeartbeatTimeout, silent] {
        assert_eq!(of(cause, (300, 311)), (undecided, undecided), "{cause:?}");
        assert_eq!(of(cause, (320, 340)), (Verdict::Fail, Verdict::Fail), "{cause:?}");
    }
    assert_eq!(of(OfflineCause::GaveUp, (300, 311)).1, undecided);
    assert_eq!(of(OfflineCause::GaveUp, (320, 340)).1, Verdict::Fail);
    assert_eq!(of(OfflineCause::ChannelClosed, (300, 311)).1, Verdict::Fail, "a crash");
}

#[test]
fn beginning_again_after_time_outs_of_a_starved_machine_decides_nothing() {
    let of = |cause, waited_us| {
        let mut list = fleet(12);
        list.push(Record::SchedulerLag { thread: 0, at: 190 * S, lag_us: 1 });
        for second in 20..600 {
            let probe = Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() };
            list.push(Record::Probe(probe));
        }
        // Three a second, of which the contract takes one and a half.
        for nth in 0..1_200_u32 {
            let (client, at) = (nth % 12, 150 * S + u64::from(nth) * S / 3);
            list.push(beat(client, at));
            let (request, late) = (Request::Subscribe, (Outcome::Timeout, "timeout"));
            if cause == OfflineCause::GaveUp {
                list.push(answered(request, Some(client), at, late));
            }
            list.push(records::offline(client, at, cause));
            list.extend(live(client, at + 1_000));
        }
        list.sort_by_key(Record::at);
        kind(&Trial::of(&at_home(""), list).judge(), Incident::Rejoins).expect("judged")
    };
    let (verdict, why) = of(OfflineCause::GaveUp, 600_000);
    assert_eq!(verdict, Verdict::Inconclusive, "{why}");
    assert!(why.contains("rejoin after a time-out ×1200"), "{why}");
    assert_eq!(of(OfflineCause::GaveUp, 100_000).0, Verdict::Fail);
    assert_eq!(of(OfflineCause::ChannelClosed, 600_000).0, Verdict::Fail);
}

#[test]
fn an_advisory_gate_is_judged_and_shown_and_decides_nothing() {
    let mut list = fleet(12);
    list.extend([beat(0, 290 * S), records::offline(0, 300 * S, closed(1011))]);
    let of = |text: &str| {
        let verdict = Trial::of(text, list.clone()).judge();
        let gate = gate(&verdict);
        let said = verdict.reasons.iter().any(|why| why.contains("socket_ends"));
        (gate.advisory, gate.verdict, said, verdict.verdict == Verdict::Fail)
    };
    let home = at_home("");
    assert_eq!(of(&home), (false, Some(Verdict::Fail), true, true));
    let advisory = format!("{home}\n[[gate]]\nname = \"stability\"\nadvisory = true\n");
    assert_eq!(of(&advisory), (true, Some(Verdict::Fail), true, false));
}

// A run that was killed.

#[test]
fn a_killed_run_is_a_no_go_by_what_was_proven_until_then() {
    let of = |more: Vec<Record>| {
        let mut trial = Trial::of(ELSEWHERE, [fleet(12), more].concat());
        trial.facts.unfinished = Some("it was killed".to_owned());
        let verdict = trial.judge();
        let said = verdict.reasons.iter().any(|why| why == "the run did not finish: it was killed");
        assert!(said, "{:?}", verdict.reasons);
        verdict
    };
    let nothing = of(Vec::new());
    assert_eq!(nothing.decision, Decision::Hold);
    assert_eq!(absence(&nothing).0, Verdict::Inconclusive);
    assert_eq!(kind(&nothing, Incident::SocketEnds).expect("judged").0, Verdict::Inconclusive);
    let restarted = of(ends(0..12, 100 * S, closed(1012)));
    assert_eq!(restarted.decision, Decision::NoGo);
    assert!(
        restarted.reasons[0].starts_with("FAIL: stability: absence"),
        "{:?}",
        restarted.reasons
    );
}
