//! When the target was away: how it is noticed, what it is called, and which absences are planned.

use khala_evidence::judge::Verdict;
use khala_evidence::record::{
    Cut, Heard, Micros, OfflineCause, Outcome, Probe, Record, RenewalSign,
};
use khala_evidence::shard::absence::{Absence, Manner};
use khala_evidence::shard::stability::Blame;
use khala_plan::stability::Incident;

use crate::support::incidents::{
    ELSEWHERE, REFUSED, S, UNAVAILABLE, absence, absences, at_home, closed, ends, fault, fleet,
    hooked, live, one, told, upgrade,
};
use crate::support::reading::summary;
use crate::support::records::{self, stream};
use crate::support::trial::Trial;

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
    let trial = Trial::of(ELSEWHERE, list);
    let (verdict, reason) = absence(&trial.judge());
    assert_eq!(verdict, Verdict::Fail);
    let expected = "the target restarted at 100.0 s, 12 of 1000 clients, back by 102.0 s";
    assert!(reason.starts_with(expected), "{reason}");
    let report = trial.report();
    assert_eq!(report.target.restarts.len(), 1);
    let text = summary(&report);
    let third = text.lines().nth(2).expect("a third line");
    assert!(third.contains(expected), "{text}");
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
    let settled = Trial::of(ELSEWHERE, list).settle();
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
        Trial::of(&home, list)
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
    let of = |list: Vec<Record>| Trial::of(ELSEWHERE, [fleet(12), list].concat());
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
fn a_silence_on_a_starved_machine_decides_nothing_unless_it_lasts_to_the_end() {
    let of = |over, heard, waited_us| {
        let mut list = fleet(12);
        list.push(Record::SchedulerLag { thread: 0, at: 50 * S, lag_us: 1 });
        list.extend((20..600).map(|second| {
            let probe = Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() };
            Record::Probe(probe)
        }));
        let to = 65 * S;
        list.push(Record::Silence { heard, from: 60 * S, to, over, asked: 43, clients: 12 });
        list.sort_by_key(Record::at);
        absence(&Trial::of(ELSEWHERE, list).judge())
    };
    for heard in [Heard::Nothing, Heard::NoSession] {
        let (verdict, why) = of(true, heard, 600_000);
        assert_eq!(verdict, Verdict::Inconclusive, "{why}");
        assert!(why.contains("a thread of it wanted a core and had none for 60 %"), "{why}");
        assert_eq!(of(true, heard, 100_000).0, Verdict::Fail);
        assert_eq!(of(false, heard, 600_000).0, Verdict::Fail, "it did not come back");
    }
}

#[test]
fn a_silence_decides_nothing_where_the_machine_was_starved_in_it() {
    let of = |silences: &[(u64, u64)], starved: std::ops::RangeInclusive<u64>| {
        let mut list = fleet(12);
        list.push(Record::SchedulerLag { thread: 0, at: 50 * S, lag_us: 1 });
        list.extend((20..600).map(|second| {
            let waited_us = if starved.contains(&second) { 700_000 } else { 20_000 };
            let probe = Probe { at: second * S, wall_us: S, waited_us, ..Probe::default() };
            Record::Probe(probe)
        }));
        list.extend(silences.iter().map(|&(from, to)| {
            let (from, to, over) = (from * S, to * S, true);
            Record::Silence { heard: Heard::Nothing, from, to, over, asked: 43, clients: 12 }
        }));
        list.sort_by_key(Record::at);
        absence(&Trial::of(ELSEWHERE, list).judge())
    };
    let (verdict, why) = of(&[(60, 65)], 60..=65);
    assert_eq!(verdict, Verdict::Inconclusive, "{why}");
    assert!(why.contains("70 % of the time from 60 to 65 s"), "{why}");
    assert_eq!(of(&[(60, 65)], 70..=90).0, Verdict::Fail);
    assert_eq!(of(&[(60, 65)], 64..=65).0, Verdict::Fail, "for a third of it");
    assert_eq!(of(&[(60, 65), (80, 85)], 60..=65).0, Verdict::Fail, "the other one is left");
    assert_eq!(of(&[(60, 65), (80, 85)], 60..=85).0, Verdict::Inconclusive);
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
    let mut trial = Trial::of(&at_home(""), fleet(12));
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
