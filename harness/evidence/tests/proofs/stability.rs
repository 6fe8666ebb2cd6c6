//! What befell the run although nobody planned it: told from the first incident on, attributed to whom
//! it belongs, and too much of it beyond the limit. When the target was away, and how that is noticed.

use khala_evidence::judge::{Decision, GateVerdict, RunVerdict, STABILITY_GATE, Verdict};
use khala_evidence::record::{
    Answered, Cut, Heard, Micros, OfflineCause, OpKind, Outcome, Probe, Record, RenewalSign,
    Request,
};
use khala_evidence::shard::absence::{Absence, Manner};
use khala_evidence::shard::stability::Blame;
use khala_evidence::{Settled, render};
use khala_plan::stability::Incident;

use crate::support::plans::edited;
use crate::support::records::{self, stream};
use crate::support::trial::Trial;

const S: Micros = 1_000_000;

/// A thousand clients elsewhere, on two threads; the target is stopped for nobody.
const ELSEWHERE: &str = r#"
version = 1
name = "elsewhere"
seed = 3

[target]
kind = "url"
url = "http://127.0.0.1:4000"
exclusive = true

[auth]
mint = "control"

[fleet]
clients = 1000
ramp = "10s"

[[fleet.surface]]
name = "desktop"
share = 1.0
topics = ["runtime.codex_worker_events"]

[[load]]
command = "codex-worker-events"
rate = "2/s"
arrival = "constant"

[[phase]]
name = "steady"
duration = "600s"

[[gate]]
name = "ux"

[[gate.objective]]
metric = "violations"
where = { rule = "gap" }
require = "count == 0"

[oracle]
converge_within = "30s"
settle_within = "1s"
"#;

/// Twelve clients of the embedded runtime, and whatever faults.
fn at_home(faults: &str) -> String {
    let kind = "kind = \"url\"\nurl = \"http://127.0.0.1:4000\"\nexclusive = true";
    edited(
        ELSEWHERE,
        &[
            (kind, "kind = \"reference\""),
            ("clients = 1000", "clients = 12"),
            ("duration = \"600s\"\n", &format!("duration = \"600s\"\n{faults}\n")),
        ],
    )
}

fn fault(kind: &str, more: &str) -> String {
    // The phase begins when all have arrived, at 10 s.
    format!("[[phase.fault]]\ntype = \"{kind}\"\nat = \"80s\"\n{more}")
}

/// A client that is live on one socket from `at` on.
fn live(client: u32, at: Micros) -> Vec<Record> {
    vec![
        records::connect_begun(client, at, 1),
        records::connected(client, at + 1),
        records::op(client, OpKind::Join, at + 1, at + 2, Outcome::Ok),
        records::subscribe_sent(client, 1, at + 2, &[(stream(), None, 0)]),
        records::subscribe_ok(client, 1, at + 3, &[(stream(), 0)]),
    ]
}

/// A heartbeat that is answered: the client keeps its channel alive.
fn beat(client: u32, at: Micros) -> Record {
    records::op(client, OpKind::Heartbeat, at, at + 1_000, Outcome::Ok)
}

fn fleet(clients: u32) -> Vec<Record> {
    (0..clients).flat_map(|client| live(client, 20 * S)).collect()
}

fn answered(request: Request, client: Option<u32>, at: Micros, how: (Outcome, &str)) -> Record {
    let (outcome, status) = (how.0, how.1.into());
    let start = at.saturating_sub(1_000);
    Record::Answered(Answered {
        client,
        request,
        start,
        at,
        outcome,
        status,
        example: None,
        retry_after: None,
    })
}

fn upgrade(client: u32, at: Micros, how: (Outcome, &str)) -> Record {
    answered(Request::Connect, Some(client), at, how)
}

const REFUSED: (Outcome, &str) = (Outcome::ConnectionFailed, "connection refused");
const RESET: (Outcome, &str) = (Outcome::ConnectionFailed, "connection reset");
const UNAVAILABLE: (Outcome, &str) = (Outcome::ProtocolError, "503");
const TAKEN: (Outcome, &str) = (Outcome::Ok, "101");

fn closed(code: u16) -> OfflineCause {
    OfflineCause::ClosedByTarget { code: Some(code) }
}

/// The ends of some clients' sockets, a few milliseconds apart; their heartbeats had been answered.
fn ends(clients: std::ops::Range<u32>, at: Micros, cause: OfflineCause) -> Vec<Record> {
    let beats = clients.clone().map(|client| beat(client, at - 10 * S));
    let offline = |client| records::offline(client, at + u64::from(client) * 5_000, cause);
    beats.chain(clients.map(offline)).collect()
}

fn trial(text: &str, list: Vec<Record>) -> Trial {
    Trial::of(text, list)
}

fn told(settled: &Settled, incident: Incident, blame: Blame) -> Vec<(String, u64)> {
    let told = settled.stability.told(incident, blame);
    let codes = told.into_iter().flat_map(|told| told.codes.iter());
    codes.map(|(code, seen)| (code.to_owned(), seen.count)).collect()
}

/// Whose doing an incident was that happened once.
fn blamed(settled: &Settled, incident: Incident) -> Blame {
    let blames = [Blame::Target, Blame::Ours, Blame::Plan];
    let found: Vec<_> =
        blames.into_iter().filter(|&blame| !told(settled, incident, blame).is_empty()).collect();
    assert_eq!(found.len(), 1, "{incident:?}: {found:?}");
    found[0]
}

fn gate(verdict: &RunVerdict) -> &GateVerdict {
    verdict.gates.iter().find(|gate| gate.name == STABILITY_GATE).expect("it is always judged")
}

/// Verdict and reason of a kind, if it was judged.
fn kind(verdict: &RunVerdict, incident: Incident) -> Option<(Verdict, String)> {
    let selector = format!("kind={}", incident.name());
    let objective = gate(verdict).objectives.iter().find(|one| one.selector == selector)?;
    Some((objective.verdict, objective.reason.clone()))
}

fn absence(verdict: &RunVerdict) -> (Verdict, String) {
    let objective = gate(verdict).objectives.iter().find(|one| one.metric == "absence");
    let objective = objective.expect("it is always judged");
    (objective.verdict, objective.reason.clone())
}

// Single incidents.

#[test]
fn every_end_of_a_socket_or_channel_is_told_by_kind_and_code() {
    let of = |cause| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, 55 * S), records::offline(0, 60 * S, cause)]);
        let settled = trial(ELSEWHERE, list).settle();
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
        let settled = trial(ELSEWHERE, vec![answered(request, Some(0), 60 * S, how)]).settle();
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
        blamed(&trial(ELSEWHERE, list).settle(), Incident::Rejoins)
    };
    assert_eq!(again(closed(1011)), Blame::Target);
    assert_eq!(again(OfflineCause::Fault { id: 0, intended: 60 * S }), Blame::Plan);
    let once = trial(ELSEWHERE, live(0, 20 * S)).settle();
    assert_eq!(told(&once, Incident::Rejoins, Blame::Target), []);
}

// Limits.

#[test]
fn one_end_in_a_thousand_clients_elsewhere_is_told_and_within_the_limit_and_two_are_not() {
    let of = |cut: u32| {
        let mut list = fleet(1_000);
        list.extend((0..1_000).map(|client| beat(client, 290 * S)));
        list.extend(ends(0..cut, 300 * S, closed(1011)));
        trial(ELSEWHERE, list)
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
        kind(&trial(text, list).judge(), Incident::SocketEnds).expect("judged").0
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
        kind(&trial(ELSEWHERE, ok.chain(bad).collect()).judge(), Incident::MintErrors)
    };
    assert_eq!(of(2).expect("judged").0, Verdict::Pass);
    let (verdict, reason) = of(3).expect("judged");
    assert_eq!(verdict, Verdict::Fail);
    assert!(reason.contains("HTTP 503 ×3") && reason.contains("contract, section 7"), "{reason}");
}

#[test]
fn what_the_run_had_no_occasion_for_is_not_judged() {
    let verdict = trial(&at_home(""), fleet(12)).judge();
    assert_eq!(kind(&verdict, Incident::MintErrors), None);
    assert_eq!(kind(&verdict, Incident::SocketEnds).expect("judged").0, Verdict::Pass);
    assert_eq!(absence(&trial(ELSEWHERE, Vec::new()).judge()).0, Verdict::Inconclusive);
    // What it takes is told where something is wanting, and only there.
    let wants = |verdict: &RunVerdict| {
        let objectives = gate(verdict).objectives.iter();
        let mut absences = objectives.filter(|one| one.metric == "absence");
        absences.next().expect("it is always judged").it_takes.clone()
    };
    let never = wants(&trial(ELSEWHERE, Vec::new()).judge());
    assert!(never.is_some_and(|takes| takes.contains("ask the target")));
    assert_eq!(wants(&verdict), None);
    let unasked = trial(ELSEWHERE, Vec::new()).judge();
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
        kind(&trial(&at_home(""), list).judge(), Incident::SocketEnds).expect("judged").1
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
        kind(&trial(&at_home(""), list).judge(), Incident::PublishErrors).expect("judged").0
    };
    let late = (Outcome::Timeout, "timeout");
    assert_eq!(of(late, 600_000), Verdict::Inconclusive);
    assert_eq!(of(late, 100_000), Verdict::Fail);
    assert_eq!(of(UNAVAILABLE, 600_000), Verdict::Fail);
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
        kind(&trial(&at_home(""), list).judge(), Incident::Rejoins).expect("judged")
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
        let verdict = trial(text, list.clone()).judge();
        let gate = gate(&verdict);
        let said = verdict.reasons.iter().any(|why| why.contains("socket_ends"));
        (gate.advisory, gate.verdict, said, verdict.verdict == Verdict::Fail)
    };
    let home = at_home("");
    assert_eq!(of(&home), (false, Some(Verdict::Fail), true, true));
    let advisory = format!("{home}\n[[gate]]\nname = \"stability\"\nadvisory = true\n");
    assert_eq!(of(&advisory), (true, Some(Verdict::Fail), true, false));
}

// Whose doing it was.

#[test]
fn a_planned_cut_answers_for_its_client_until_it_is_live_again_or_the_bound_is_over() {
    let home = at_home(&fault("disconnect", "mode = \"all\""));
    let cut = |more: Vec<Record>| {
        let mut list = live(0, 20 * S);
        list.push(records::cut(0, 91 * S, 0, 90 * S));
        list.extend(more);
        trial(&home, list).settle()
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
        trial(&at_home(faults), list).settle()
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
        trial(&home, list).settle()
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
    let of = |record: Record, incident| blamed(&trial(&home, vec![record]).settle(), incident);
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

/// A hook that is due at 90 s and lasts for `duration`.
fn hooked(duration: &str, causes: &str) -> String {
    let undo = if duration.is_empty() { "" } else { ", undo = [\"true\"]" };
    let attributes = format!("attributes = {{ command = [\"true\"]{undo}{causes} }}");
    at_home(&fault("hook", &format!("{duration}\n{attributes}")))
}

#[test]
fn a_hook_answers_for_what_it_says_that_it_causes_and_only_so_long() {
    let of = |home: &str, record: Record, what| blamed(&trial(home, vec![record]).settle(), what);
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
        let settled = trial(&hooked("", causes), list).settle();
        let blame = |incident| blamed(&settled, incident);
        (blame(Incident::SocketEnds), blame(Incident::ConnectErrors))
    };
    let cuts = ", causes = [\"socket_ends\"]";
    let cut = |text: &str| {
        let mut list = live(0, 20 * S);
        list.extend([beat(0, 81 * S), records::offline(0, 91 * S, broken)]);
        let report = trial(text, list).report();
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
        trial(&hooked("", causes), list)
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
fn an_absence_is_a_hooks_if_it_says_so_and_a_restart_only_if_it_also_ends_sockets() {
    let silence = Record::Silence {
        heard: Heard::Nothing,
        from: 91 * S,
        to: 95 * S,
        over: true,
        asked: 9,
        clients: 12,
    };
    let renewed = Record::Renewed { before: 91 * S, at: 93 * S, sign: RenewalSign::Process };
    let planned = |causes: &str, record: &Record| {
        let mut list = fleet(12);
        list.push(record.clone());
        let absences = absences(&hooked("", causes), list);
        one(&absences).planned
    };
    let (away, cuts) = (", causes = [\"absence\"]", ", causes = [\"absence\", \"socket_ends\"]");
    let closes = ", causes = [\"absence\", \"socket_closes\"]";
    for (causes, silent, restarted) in [
        ("", false, false),
        (", causes = [\"socket_ends\"]", false, false),
        (away, true, false),
        (cuts, true, true),
        (closes, true, true),
    ] {
        assert_eq!(planned(causes, &silence), silent, "{causes}");
        assert_eq!(planned(causes, &renewed), restarted, "{causes}");
    }
    let short = format!("{away}, effects_for = \"2s\"");
    assert!(!planned(&short, &silence), "it lasted for longer than the hook may take");
}

#[test]
fn what_follows_from_a_stall_of_the_clients_own_thread_is_the_harnesss() {
    let of = |thread, from: Micros, to: Micros, at: Micros| {
        let mut list = live(0, 20 * S);
        list.push(beat(0, 55 * S));
        list.push(Record::Stall { thread, from, to });
        list.push(records::offline(0, at, OfflineCause::ChannelClosed));
        trial(ELSEWHERE, list)
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
        trial(ELSEWHERE, list).settle()
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
    use khala_evidence::record::Resource;
    for resource in [
        Resource::Ports,
        Resource::Descriptors,
        Resource::Memory,
        Resource::Addresses,
        Resource::Names,
    ] {
        let record = upgrade(0, 60 * S, (Outcome::Exhausted(resource), "out of it"));
        let settled = trial(ELSEWHERE, vec![record]).settle();
        assert_eq!(blamed(&settled, Incident::ConnectErrors), Blame::Ours);
    }
}

// Absences.

fn absences(text: &str, list: Vec<Record>) -> Vec<Absence> {
    trial(text, list).settle().absences
}

#[track_caller]
fn one(absences: &[Absence]) -> &Absence {
    assert_eq!(absences.len(), 1, "{absences:#?}");
    &absences[0]
}

#[test]
fn everybody_told_that_the_target_stops_is_a_restart() {
    let mut list = fleet(12);
    list.extend(ends(0..12, 100 * S, closed(1012)));
    list.extend((0..12).flat_map(|client| live(client, 102 * S)));
    let found = absences(ELSEWHERE, list.clone());
    let Absence { manner, from_us, until_us, clients, planned, noticed, .. } = one(&found);
    assert_eq!((*manner, *from_us, *until_us), (Manner::Restarted, 100 * S, Some(102 * S)));
    assert_eq!((*clients, *planned), (12, false));
    assert_eq!(noticed[..], ["every socket ended within 0.1 s: 12 of 12 (close 1012 ×12)"]);
    let trial = trial(ELSEWHERE, list);
    let (verdict, reason) = absence(&trial.judge());
    assert_eq!(verdict, Verdict::Fail);
    let expected = "the target restarted at 100.0 s, 12 of 1000 clients, back by 102.0 s";
    assert!(reason.starts_with(expected), "{reason}");
    let report = trial.report();
    assert_eq!(report.target.restarts.len(), 1);
    for renderer in render::ALL.iter().filter(|one| one.file_name() == "summary.md") {
        let text = String::from_utf8(renderer.render(&report).expect("renders")).expect("UTF-8");
        let third = text.lines().nth(2).expect("a third line");
        assert!(third.contains(expected), "{text}");
    }
}

#[test]
fn sockets_that_break_and_connects_that_fail_until_somebody_is_back_are_a_restart() {
    let with = |failing: &[Micros], back: Option<Micros>| {
        let mut list = fleet(12);
        list.extend(ends(0..12, 100 * S, OfflineCause::Broken { how: Cut::Eof }));
        list.extend(failing.iter().map(|&at| upgrade(0, at, REFUSED)));
        list.extend(back.into_iter().flat_map(|at| live(0, at)));
        absences(ELSEWHERE, list)
    };
    let restarted = with(&[101 * S, 102 * S], Some(103 * S));
    assert_eq!(one(&restarted).manner, Manner::Restarted);
    assert_eq!(one(&restarted).noticed[1], "2 connects failed meanwhile");
    assert_eq!(one(&with(&[], Some(102 * S))).manner, Manner::CutOff, "nothing more is known");
    let lost = with(&[101 * S, 106 * S], None);
    assert_eq!((one(&lost).manner, one(&lost).until_us), (Manner::Lost, None));
    let back_late = with(&[101 * S, 106 * S], Some(108 * S));
    assert_eq!(one(&back_late).until_us, Some(108 * S));
}

#[test]
fn ends_of_some_or_one_after_another_are_no_absence() {
    let eof = OfflineCause::Broken { how: Cut::Eof };
    let mut list = fleet(12);
    list.extend(ends(0..11, 100 * S, eof));
    assert_eq!(absences(ELSEWHERE, list), [], "one is left");
    let mut list = fleet(12);
    // A balancer that drops whoever says nothing for a while.
    list.extend(
        (0..12).map(|client| records::offline(client, 50 * S + u64::from(client) * S, eof)),
    );
    let settled = trial(ELSEWHERE, list).settle();
    assert_eq!(settled.absences, []);
    let code = "ended without a close frame".to_owned();
    assert_eq!(told(&settled, Incident::SocketEnds, Blame::Target), [(code, 12)]);
    let mut list = live(0, 20 * S);
    list.extend(ends(0..1, 60 * S, eof));
    assert_eq!(absences(ELSEWHERE, list), [], "one client is not everybody");
    let mut list = fleet(12);
    list.extend(ends(0..12, 100 * S, OfflineCause::ChannelClosed));
    assert_eq!(absences(ELSEWHERE, list), [], "channels end on sockets that are there");
}

#[test]
fn what_the_plan_cuts_is_no_absence() {
    let home = at_home(&fault("disconnect", "mode = \"all\""));
    let mut list = fleet(12);
    list.extend((0..12).map(|client| records::cut(client, 90 * S, 0, 90 * S)));
    list.extend((0..12).flat_map(|client| live(client, 92 * S)));
    assert_eq!(absences(&home, list), []);
    let mut list = fleet(12);
    list.extend(ends(0..12, 100 * S, OfflineCause::GaveUp));
    assert_eq!(absences(&home, list), [], "the clients left by themselves");
}

#[test]
fn a_planned_restart_is_told_and_fails_nothing() {
    let home = at_home(&fault("restart", "attributes = { signal = \"kill\" }"));
    let renewed = |before, at| Record::Renewed { before, at, sign: RenewalSign::Process };
    let of = |before, at| {
        let mut list = fleet(12);
        list.extend((0..12).map(|client| records::cut(client, 90 * S, 0, 90 * S)));
        list.extend((0..12).flat_map(|client| live(client, 92 * S)));
        list.push(renewed(before, at));
        trial(&home, list)
    };
    let planned = of(90 * S, 92 * S);
    assert!(one(&planned.settle().absences).planned);
    assert_eq!(absence(&planned.judge()).0, Verdict::Pass);
    assert_eq!(planned.report().target.restarts.len(), 1, "it is told");
    let another = of(200 * S, 201 * S);
    assert!(!one(&another.settle().absences).planned);
    assert_eq!(absence(&another.judge()).0, Verdict::Fail);
}

#[test]
fn another_process_is_a_restart_and_a_head_that_began_anew_only_helps_to_know_one() {
    let process = Record::Renewed { before: 60 * S, at: 61 * S, sign: RenewalSign::Process };
    assert_eq!(one(&absences(ELSEWHERE, vec![process])).manner, Manner::Restarted);
    let head = || {
        let sign = RenewalSign::Head { topic: stream(), was: 100, is: 2 };
        Record::Renewed { before: 99 * S, at: 101 * S, sign }
    };
    assert_eq!(absences(ELSEWHERE, vec![head()]), []);
    let mut list = fleet(12);
    list.extend(ends(0..12, 100 * S, OfflineCause::Broken { how: Cut::Reset }));
    list.extend((0..12).flat_map(|client| live(client, 102 * S)));
    assert_eq!(one(&absences(ELSEWHERE, list.clone())).manner, Manner::CutOff);
    list.push(head());
    assert_eq!(one(&absences(ELSEWHERE, list)).manner, Manner::Restarted);
}

#[test]
fn a_target_that_answers_nobody_is_absent_and_lost_if_that_lasts() {
    let silence = |to, over| Record::Silence {
        heard: Heard::Nothing,
        from: 60 * S,
        to,
        over,
        asked: 43,
        clients: 12,
    };
    let of = |list: Vec<Record>| trial(ELSEWHERE, [fleet(12), list].concat());
    let frozen = of(vec![silence(64 * S, false), silence(65 * S, false), silence(65 * S, true)]);
    let found = frozen.settle().absences;
    assert_eq!((one(&found).manner, one(&found).until_us), (Manner::Absent, Some(65 * S)));
    let (verdict, reason) = absence(&frozen.judge());
    assert_eq!(verdict, Verdict::Fail);
    assert!(
        reason.starts_with(
            "the target was absent from 60.0 s to 65.0 s, 12 of 1000 clients (nothing was \
                            heard for 5.0 s although 43 requests were waiting or failed)"
        ),
        "{reason}"
    );
    let sockets = |from| Record::Silence {
        heard: Heard::NoSession,
        from,
        to: 65 * S,
        over: true,
        asked: 12,
        clients: 12,
    };
    let alone = of(vec![sockets(60 * S)]).settle().absences;
    assert_eq!(
        one(&alone).noticed[..],
        [
            "nothing was heard over any client's socket for 5.0 s although 12 requests of 12 clients \
          were waiting or failed"
        ]
    );
    let said = |list| absence(&of(list).judge()).1;
    assert!(
        said(vec![sockets(60 * S)]).starts_with(
            "nothing came over any socket from 60.0 s to 65.0 s, 12 of 1000 clients, while the target answered \
             other requests (nothing was heard over any client's socket"
        ),
        "{}",
        said(vec![sockets(60 * S)])
    );
    let few = |asked| {
        let mut few = sockets(60 * S);
        if let Record::Silence { asked: of, .. } = &mut few {
            *of = asked;
        }
        of(vec![few]).settle().absences.len()
    };
    assert_eq!(
        (few(3), few(2)),
        (1, 0),
        "two answers that do not come say nothing of the other ten"
    );
    let both = of(vec![silence(65 * S, true), sockets(59 * S)]).settle().absences;
    assert_eq!(one(&both).noticed.len(), 1, "what is said of everything is said of the sockets");
    let stall = |from, to| Record::Stall { thread: 0, from, to };
    let excused = of(vec![silence(65 * S, true), stall(61 * S, 63 * S + 1)]).settle().absences;
    assert_eq!(excused, [], "less than the bound is left without the harness's own stall");
    let kept = of(vec![silence(65 * S, true), stall(61 * S, 62 * S)]).settle().absences;
    assert_eq!(kept.len(), 1);
    let lost = of(vec![silence(64 * S, false)]);
    assert_eq!(one(&lost.settle().absences).manner, Manner::Lost);
    assert!(lost.report().target.lost.is_some_and(|why| why.contains("lost at 60.0 s")));
}

#[test]
fn a_target_that_refuses_everybody_for_longer_than_the_bound_is_absent() {
    let of = |how: (Outcome, &str), last: Micros| {
        let mut list: Vec<_> = (0..4).map(|client| upgrade(client, 30 * S, how)).collect();
        list.push(upgrade(0, last, how));
        list.extend(live(0, 40 * S));
        absences(ELSEWHERE, list)
    };
    let found = of(UNAVAILABLE, 34 * S);
    let Absence { manner, until_us, noticed, .. } = one(&found);
    assert_eq!((*manner, *until_us), (Manner::Absent, Some(40 * S)));
    assert_eq!(noticed[..], ["every connect failed for 4.1 s: 503 ×5"]);
    assert_eq!(of(UNAVAILABLE, 32 * S), [], "for less than the bound");
    let mut list = live(5, 20 * S);
    list.extend((0..9).map(|n| upgrade(0, (30 + n) * S, UNAVAILABLE)));
    assert_eq!(absences(ELSEWHERE, list), [], "somebody has a socket");
}

#[test]
fn a_child_that_ended_is_lost_and_what_the_sockets_show_of_it_is_the_same() {
    let mut trial = trial(&at_home(""), fleet(12));
    trial.facts.target.lost = Some("the reference runtime ended with signal 9".to_owned());
    trial.facts.target.lost_at_us = Some(100 * S);
    let (verdict, reason) = absence(&trial.judge());
    assert_eq!(verdict, Verdict::Fail);
    assert!(reason.starts_with("the target was lost at 100.0 s, 12 clients, to the end (the ref"));
    trial.records.extend(ends(0..12, 99 * S, OfflineCause::Broken { how: Cut::Eof }));
    let report = trial.report();
    assert_eq!(report.target.absences.len(), 1, "{:?}", report.target.absences);
    let lost = report.target.lost.expect("it is lost");
    assert!(lost.contains("signal 9") && lost.contains("every socket ended"), "{lost}");
}

// A run that was killed.

#[test]
fn a_killed_run_is_a_no_go_by_what_was_proven_until_then() {
    let of = |more: Vec<Record>| {
        let mut trial = trial(ELSEWHERE, [fleet(12), more].concat());
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
